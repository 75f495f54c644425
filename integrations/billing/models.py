"""Usage by month: what remains of calls for the bill, whatever is deleted."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from core.columns import IdColumn, InstantColumn, TextColumn
from core.tenancy import TenantModel


class Usage(TenantModel):
    """What one integration used in one month, with the names it had at its last call.

    It refers to nothing, so that it outlives the integration, the account and the organization.
    """

    resource_type: ClassVar[str] = "billing"
    account_column = "account_id"
    narrowed_by = {"organizations": "organization_id", "categories": "category"}

    organization_id = IdColumn(editable=False)
    above_id = IdColumn(null=True)  # the organization above, which sees the bill too
    month = TextColumn(max_length=7)  # YYYY-MM, in UTC
    integration_id = IdColumn()
    account_id = IdColumn()
    category = TextColumn(max_length=64)
    organization_name = TextColumn(max_length=255)
    account_name = TextColumn(max_length=255)
    integration_name = TextColumn(max_length=255)
    environment = TextColumn(max_length=16)
    created_at = InstantColumn()
    updated_at = InstantColumn()
    succeeded = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    in_bytes = models.BigIntegerField(default=0)
    out_bytes = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration_id", "month"], name="usage_once_a_month")]
        indexes = [
            models.Index(fields=["organization_id", "month", "id"], name="usage_by_month"),
            models.Index(fields=["above_id", "organization_id", "month", "id"], name="usage_by_above"),
        ]

    def __str__(self) -> str:
        return f"{self.integration_id} in {self.month}"


class UsageBelow(Usage):
    """The usage of organizations below the one in scope."""

    tenant_column = "above_id"

    class Meta:
        proxy = True
