"""The status of integrations on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.serializers import AccountSerializer
from core.fields import InstantField, IntegerField, ListField, StringField
from core.serializers import ResourceSerializer
from integrations.serializers import IntegrationSerializer
from integrations.status.models import Status, StatusEvent


class StatusSerializer(ResourceSerializer):
    """How an integration fares: what the last call says, and counters since it was made or reset."""

    account = AccountSerializer(required=False, help_text="The account, when `expand` asks for it.")
    integration = IntegrationSerializer(required=False, help_text="The integration, when `expand` asks for it.")
    updated_at = InstantField(help_text="When it was last called or reset.")
    status = StringField(
        help_text="`ok` or `failing` as the last call ended, `unknown` when there was none since it was made or reset."
    )
    requests = IntegerField(help_text="How many calls of the provider were made, verifications included.")
    failed = IntegerField(help_text="How many of them failed.")
    cpu_time = IntegerField(help_text="Time of the processor that they took, in microseconds.")
    db_ops = IntegerField(help_text="Statements that the database ran for them.")
    api_ops = IntegerField(help_text="Requests that were sent to the provider for them.")
    in_bytes = IntegerField(help_text="Bytes received from the provider.")
    out_bytes = IntegerField(help_text="Bytes sent to the provider.")

    class Meta(ResourceSerializer.Meta):
        model = Status
        fields = (
            "created_at", "updated_at", "account_id", "account", "integration_id", "integration", "status", "requests",
            "failed", "cpu_time", "db_ops", "api_ops", "in_bytes", "out_bytes",
        )  # fmt: skip
        optional = ("account", "integration")
        expanded = ("account", "integration")


class StatusEventSerializer(ResourceSerializer):
    """A call that failed, or the first that succeeded after one that failed."""

    created_at = InstantField(help_text="When the call ended.")
    status = StringField(help_text="`failing`, or `ok` for a return to health.")
    error = StringField(required=False, help_text="Why it failed.")
    request = IntegerField(help_text="Which call it was, counted as `requests` of the status.")

    class Meta(ResourceSerializer.Meta):
        model = StatusEvent
        fields = ("account_id", "integration_id", "created_at", "status", "error", "request")
        optional = ("error",)


class TimeseriesResultSerializer(serializers.Serializer[Any]):
    """One interval of a series."""

    created_at = InstantField(help_text="When the interval begins.")
    succeeded = IntegerField(help_text="Calls that succeeded.")
    failed = IntegerField(help_text="Calls that failed.")
    cpu_time = IntegerField(help_text="Time of the processor, in microseconds.")
    in_bytes = IntegerField(help_text="Bytes received from providers.")
    out_bytes = IntegerField(help_text="Bytes sent to providers.")


class GetStatusTimeseriesResultSerializer(serializers.Serializer[Any]):
    """A series: every interval from the start to the end, also those in which nothing was called."""

    start_time = InstantField(help_text="When the first interval begins.")
    end_time = InstantField(help_text="When the last interval ends.")
    interval = StringField(help_text="How long an interval is: `1h`.")
    series = ListField(child=TimeseriesResultSerializer(), help_text="The intervals, the oldest first.")
