"""Operations, their executions, and what the mock sink was given."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn, new_id
from core.models import Row, Timed
from core.tenancy import TenantModel


class OperationStatus(models.TextChoices):
    SCHEDULED = "SCHEDULED"
    PROCESSING = "PROCESSING"
    CANCELLED = "CANCELLED"
    COMPLETE = "COMPLETE"
    DISABLED = "DISABLED"


class OperationTriggerType(models.TextChoices):
    API = "API"
    SCHEDULED = "SCHEDULED"


class Operation(Timed):
    """One scheduled operation of an integration, written with it.

    Its states: SCHEDULED while a run of the ledger waits for it, PROCESSING from a worker's beginning to the end of
    that attempt, DISABLED (with the reason in `errors`) while it has no run. The other two are of executions only.

    `since` is the time up to which everything was read. `progress` is what is known of a reading that has not come to
    its end: of which run it is, when it began, up to which time it reads, and after which page it goes on.
    `revision` counts what changed in how it reads.
    """

    resource_type: ClassVar[str] = "operation"
    account_column = "account_id"
    narrowed_by = {"categories": "category"}

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    integration = models.ForeignKey("integrations.Integration", models.CASCADE, related_name="+", editable=False)
    account_id = IdColumn()
    category = TextColumn(max_length=64)
    integration_point_id = IdColumn(null=True, default=None)
    operation = TextColumn(max_length=64)
    ordinal = models.PositiveSmallIntegerField(default=0)  # among those of the same name
    schedule = JsonColumn()
    input = JsonColumn(default=dict)
    status = TextColumn(max_length=16, choices=OperationStatus.choices)
    errors = JsonColumn(null=True, default=None)
    cpu_time = models.BigIntegerField(default=0)
    in_bytes = models.BigIntegerField(default=0)
    output_integration_id = IdColumn(null=True, default=None)
    since = InstantColumn(null=True, default=None)
    progress = JsonColumn(null=True, default=None)
    revision = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["organization", column, "id"], name=f"operation_by_{column}")
            for column in ("created_at", "updated_at", "operation", "status")
        ]
        indexes += [
            models.Index(fields=["organization", "account_id", "id"], name="operation_by_account"),
            models.Index(fields=["organization", "id"], name="operation_by_id"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} of {self.integration_id} ({self.id})"


class Execution(Row):
    """One execution of an operation that came to an end, as it was: it outlives the operation until it is pruned.

    COMPLETE: what was read is in the sink. CANCELLED: it came to no good end, and `error` says why.
    """

    resource_type: ClassVar[str] = "execution"
    account_column = "account_id"
    narrowed_by = {"categories": "category"}

    id = IdColumn(primary_key=True)  # of the run, so that there is one execution of it
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    operation_id = IdColumn()
    account_id = IdColumn()
    integration_id = IdColumn()
    integration_point_id = IdColumn(null=True, default=None)
    category = TextColumn(max_length=64)
    operation = TextColumn(max_length=64)
    trigger_type = TextColumn(max_length=16, choices=OperationTriggerType.choices)
    trigger_source = TextColumn(max_length=64)
    status = TextColumn(max_length=16, choices=OperationStatus.choices)
    started_at = InstantColumn()
    completed_at = InstantColumn()
    duration = models.BigIntegerField(default=0)
    records_processed = models.BigIntegerField(default=0)
    cpu_time = models.BigIntegerField(default=0)
    in_bytes = models.BigIntegerField(default=0)
    initial_cursor = TextColumn(max_length=1024, null=True, default=None)
    final_cursor = TextColumn(max_length=1024, null=True, default=None)
    cursor_advanced_to = InstantColumn(null=True, default=None)
    error = TextColumn(max_length=1024, null=True, default=None)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "started_at", "id"], name="execution_by_started_at"),
            models.Index(fields=["organization", "completed_at", "id"], name="execution_by_completed_at"),
            models.Index(fields=["organization", "account_id", "started_at", "id"], name="execution_by_account"),
            models.Index(fields=["organization", "operation_id", "started_at"], name="execution_by_operation"),
            models.Index(fields=["organization", "integration_id", "started_at"], name="execution_by_integration"),
            models.Index(fields=["completed_at"], name="execution_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} at {self.started_at} ({self.id})"


class SinkRecord(TenantModel):
    """What the mock sink was given, once of each execution and record."""

    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    integration = models.ForeignKey("integrations.Integration", models.CASCADE, related_name="+", db_index=False)
    execution_id = IdColumn()
    record_id = TextColumn(max_length=255)
    operation = TextColumn(max_length=64)
    data = JsonColumn()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "execution_id", "record_id"], name="sink_record_once")
        ]
        indexes = [models.Index(fields=["integration", "id"], name="sink_record_by_id")]

    def __str__(self) -> str:
        return f"{self.record_id} of {self.execution_id}"
