"""Deliveries and their attempts on the wire."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer

from core.fields import ComputedField, IntegerField, ListField, StringField
from core.serializers import ResourceSerializer
from events.deliveries.models import Delivery, DeliveryAttempt


@extend_schema_field({"type": "object", "additionalProperties": {}})
class PayloadField(ComputedField):
    """The body that is sent."""

    columns = ("body",)

    def encode(self, *values: Any) -> Any:
        return orjson.Fragment(values[0])


class DeliveryAttemptSerializer(ResourceSerializer):
    """One attempt to deliver."""

    number = IntegerField(help_text="The first is 1.")
    duration_ms = IntegerField(help_text="How long it took, in milliseconds.")
    status_code = IntegerField(required=False, help_text="Status of the receiver's answer, if there was one.")
    error = StringField(required=False, max_length=1024, help_text="Why it does not count as delivered.")
    answer = StringField(required=False, max_length=None, help_text="The first 2 KiB of the receiver's answer.")

    class Meta(ResourceSerializer.Meta):
        model = DeliveryAttempt
        fields = ("id", "number", "created_at", "duration_ms", "status_code", "error", "answer")
        read_only = fields
        optional = ("status_code", "error", "answer")


@extend_schema_serializer(component_name="WebhookDelivery")
class DeliverySerializer(ResourceSerializer):
    """One event for one webhook."""

    attempt_count = IntegerField(help_text="How many attempts there have been.")
    status_code = IntegerField(required=False, help_text="Status of the last answer, if there was one.")

    class Meta(ResourceSerializer.Meta):
        model = Delivery
        fields: ClassVar[tuple[str, ...]] = (
            "id", "created_at", "updated_at", "webhook_id", "event", "account_id", "integration_id", "state",
            "attempt_count", "status_code", "next_attempt_at",
        )  # fmt: skip
        read_only = fields
        optional: ClassVar[tuple[str, ...]] = ("account_id", "integration_id", "status_code", "next_attempt_at")


@extend_schema_serializer(component_name="WebhookDeliveryDetails")
class DeliveryDetailsSerializer(DeliverySerializer):
    """One event for one webhook: what is sent, and every attempt to."""

    payload = PayloadField(help_text="What is sent.")
    attempts = ListField(
        child=DeliveryAttemptSerializer(), read_only=True, help_text="The attempts, the latest 100 in their order."
    )

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "payload", "attempts")
        read_only = fields
        expanded = ("attempts",)
