"""Operations and their executions on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.fields import EnumField, IdField, InstantField, IntegerField, ListField, StringField
from core.serializers import ResourceSerializer
from integrations.operations.models import Execution, Operation, OperationStatus, OperationTriggerType


class OperationInputSerializer(serializers.Serializer[Any]):
    """What narrows the reading."""

    filters = ListField(child=StringField(), required=False, help_text="The filters of the schedule.")
    limit = IntegerField(required=False, help_text="How many results at most; scheduled operations have no limit.")


class OperationErrorSerializer(serializers.Serializer[Any]):
    """What went wrong."""

    message = StringField(help_text="What happened, and what follows from it.")


class OperationSerializer(ResourceSerializer):
    """A scheduled operation of an integration."""

    account_id = IdField(help_text="Id of the account that the integration belongs to.")
    integration_id = IdField(help_text="Id of the integration that is read from.")
    operation = StringField(help_text="Name of the operation, such as `assets_query_devices`.")
    input = OperationInputSerializer(help_text="What narrows the reading.")
    status = EnumField(
        OperationStatus,
        help_text="`SCHEDULED` while the next execution waits for its time, `PROCESSING` while one is carried out, "
        "`DISABLED` when there are none, with the reason in `errors`.",
    )
    errors = ListField(  # type: ignore[assignment]  # the wire's name is also an attribute of DRF's serializers
        child=OperationErrorSerializer(), required=False, help_text="Why it is disabled, or how the last one failed."
    )
    cpu_time = IntegerField(help_text="Processor time of all executions, in microseconds.")
    in_bytes = IntegerField(help_text="Bytes that all executions have sent to the sink.")
    output_integration_id = IdField(required=False, help_text="Id of the sink that receives what is read.")

    class Meta(ResourceSerializer.Meta):
        model = Operation
        fields = (
            "id", "created_at", "updated_at", "account_id", "integration_id", "operation", "input", "status", "errors",
            "cpu_time", "in_bytes", "output_integration_id",
        )  # fmt: skip
        optional = ("errors", "output_integration_id")


class OperationExecutionEventSerializer(ResourceSerializer):
    """One execution of an operation."""

    execution_id = IdField(source="id", help_text="Id of the execution.")
    operation_id = IdField(help_text="Id of the operation.")
    started_at = InstantField(help_text="When it started.")
    completed_at = InstantField(help_text="When it ended.")
    account_id = IdField(help_text="Id of the account.")
    integration_id = IdField(help_text="Id of the integration that was read from.")
    integration_point_id = IdField(required=False, help_text="Id of the integration's point, if it has one.")
    operation = StringField(help_text="Name of the operation.")
    trigger_type = EnumField(OperationTriggerType, help_text="What started it.")
    trigger_source = StringField(help_text="Id of the integration point, or of the integration if it has none.")
    status = EnumField(OperationStatus, help_text="`COMPLETE`, or `CANCELLED` when it failed: then `error` says why.")
    records_processed = IntegerField(help_text="How many records the sink was given.")
    cpu_time = IntegerField(help_text="Processor time in microseconds.")
    in_bytes = IntegerField(help_text="Bytes sent to the sink.")
    duration = IntegerField(help_text="From start to end in microseconds, pauses included.")
    initial_cursor = StringField(required=False, help_text="Where reading stood at the start.")
    final_cursor = StringField(required=False, help_text="Where reading stood at the end.")
    cursor_advanced_to = InstantField(required=False, help_text="The newest time in what the sink was given.")
    error = StringField(required=False, help_text="Why it failed.")

    class Meta(ResourceSerializer.Meta):
        model = Execution
        fields = (
            "execution_id", "operation_id", "started_at", "completed_at", "account_id", "integration_id",
            "integration_point_id", "operation", "trigger_type", "trigger_source", "status", "records_processed",
            "cpu_time", "in_bytes", "duration", "initial_cursor", "final_cursor", "cursor_advanced_to", "error",
        )  # fmt: skip
        read_only = ()
        optional = ("integration_point_id", "initial_cursor", "final_cursor", "cursor_advanced_to", "error")
