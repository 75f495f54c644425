"""The status of integrations: counters, events and the hours."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Account
from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.models import Timed
from core.tenancy import TenantModel

LONGEST_ERROR = 1024


class Health(models.TextChoices):
    """What the last call says of an integration."""

    UNKNOWN = "unknown", "not called since it was made or reset"
    OK = "ok", "the last call succeeded"
    FAILING = "failing", "the last call failed"


class Status(Timed):
    """The counters of one integration: made with it, gone with it.

    States: `unknown` becomes `ok` or `failing` with the first call, and these become each other with every call that
    ends otherwise than the one before; a reset makes it `unknown`. Only `integrations.status.services` writes here,
    each time in one statement.
    """

    resource_type: ClassVar[str] = "status"
    account_column = "account_id"
    narrowed_by = {"categories": "integration__category"}

    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    integration = models.OneToOneField("integrations.Integration", models.CASCADE, primary_key=True, related_name="+")
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", editable=False)
    status = TextColumn(max_length=16, choices=Health.choices, default=Health.UNKNOWN)
    requests = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cpu_time = models.BigIntegerField(default=0)  # microseconds
    db_ops = models.BigIntegerField(default=0)
    api_ops = models.BigIntegerField(default=0)
    in_bytes = models.BigIntegerField(default=0)
    out_bytes = models.BigIntegerField(default=0)
    recovered = models.BigIntegerField(default=0)  # the request by which it last was healthy again

    class Meta:
        indexes = [models.Index(fields=["organization", "account", "integration"], name="status_by_integration")]

    def __str__(self) -> str:
        return f"status of {self.integration_id}"


class _OfIntegration(TenantModel):
    """A row that belongs to an integration without a constraint: counting waits for nobody who locks integrations.

    The status row, which counting writes first, decides whether there still is something to count for.
    """

    account_column = "integration__account_id"
    narrowed_by = {"categories": "integration__category"}

    organization_id = IdColumn()
    integration = models.ForeignKey(
        "integrations.Integration", models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )

    class Meta:
        abstract = True


class StatusEvent(_OfIntegration):
    """A call that failed, or the first that succeeded after one that failed."""

    resource_type: ClassVar[str] = "status_event"

    id = IdColumn(primary_key=True, default=new_id)
    account_id = IdColumn()
    created_at = InstantColumn()
    status = TextColumn(max_length=16, choices=Health.choices)
    error = TextColumn(max_length=LONGEST_ERROR, null=True, default=None)
    request = models.BigIntegerField()  # which one since the integration was made or reset

    class Meta:
        indexes = [models.Index(fields=["integration", "created_at", "id"], name="status_event_by_time")]

    def __str__(self) -> str:
        return f"{self.integration_id} {self.status} at {self.created_at}"


class StatusHour(_OfIntegration):
    """What an integration did in one hour."""

    hour = InstantColumn()  # its beginning
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    cpu_time = models.BigIntegerField(default=0)
    in_bytes = models.BigIntegerField(default=0)
    out_bytes = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration", "hour"], name="status_hour_once")]
        indexes = [models.Index(fields=["organization_id", "hour"], name="status_hour_by_hour")]

    def __str__(self) -> str:
        return f"{self.integration_id} in the hour from {self.hour}"
