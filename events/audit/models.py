"""The audit log's rows, and the end of each organization's chain."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn, new_id
from core.models import Row
from core.tenancy import TenantModel


class AuditType(models.TextChoices):
    ALARM = "ALARM"  # somebody used what was dropped, or keeps trying
    ERROR = "ERROR"  # a refused change
    API = "API"  # a change
    UNKNOWN = "UNKNOWN"


class AuditEvent(Row):
    """One change or one refused change: who, from where, what, with which outcome. Rows are only ever added.

    `digest` is a keyed hash of the row and the digest before it, so that no row can be changed, added between or
    taken out unseen by whoever has the database without the keys.
    """

    resource_type = "audit_event"
    account_column = "account_id"
    narrowed_by = {"categories": "category"}

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    sequence = models.PositiveBigIntegerField()
    created_at = InstantColumn()
    audit_type = TextColumn(max_length=16, choices=AuditType.choices)
    action = TextColumn(max_length=64)  # such as accounts.create
    object_id = IdColumn(null=True)
    token_id = IdColumn(null=True)
    member_id = IdColumn(null=True)
    account_id = IdColumn(null=True)
    integration_id = IdColumn(null=True)
    bridge_group_id = IdColumn(null=True)
    category = TextColumn(max_length=64, null=True)
    environment = TextColumn(max_length=16)
    remote_addr = TextColumn(max_length=64)
    user_agent = TextColumn(max_length=255)
    method = TextColumn(max_length=16)
    path = TextColumn(max_length=2048)
    code = TextColumn(max_length=3)
    status = TextColumn(max_length=64)
    response = TextColumn(max_length=1024, null=True)
    body = JsonColumn(null=True)
    digest = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["organization", "sequence"], name="audit_event_in_chain")]
        indexes = [
            models.Index(fields=["organization", "created_at", "id"], name="audit_event_by_created_at"),
            models.Index(fields=["organization", "account_id", "created_at", "id"], name="audit_event_by_account"),
        ]

    def __str__(self) -> str:
        return f"{self.action} ({self.id})"


class AuditChain(TenantModel):
    """The last event of an organization, and the last one that was pruned: the chain starts after it.

    An organization has one from its first moment. `mac` is a keyed hash of the row: whoever cuts events off either
    end cannot write the row that fits.
    """

    organization = models.OneToOneField(
        settings.ORGANIZATION_MODEL, models.CASCADE, primary_key=True, related_name="+", editable=False
    )
    sequence = models.PositiveBigIntegerField(default=0)
    digest = models.BinaryField(default=bytes)
    pruned_sequence = models.PositiveBigIntegerField(default=0)
    pruned_digest = models.BinaryField(default=bytes)
    ended_at = TextColumn(max_length=27, default="")  # the last event's time, as the wire shows it
    mac = models.BinaryField(default=bytes)

    def __str__(self) -> str:
        return f"audit chain of {self.organization_id}"
