"""What is to be sent to a webhook, and every attempt to."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.models import Row, Timed
from events.webhooks.models import WebhookFilter


class DeliveryState(models.TextChoices):
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Delivery(Timed):
    """One event for one webhook. `body` is what is sent, byte for byte the same at every attempt.

    States and the only transitions:

        pending -> delivered   the receiver answered 2xx
        pending -> failed      the last attempt of the schedule failed, or the receiver is gone
        pending -> cancelled   the webhook was disabled
        delivered | failed | cancelled -> pending   it is sent again

    A run of the ledger does each pending one. `step` is how many attempts of the schedule are over; `attempt_count`
    counts all there ever were. There are no foreign keys: what it speaks of may be gone, and with its webhook it
    goes by a statement of its own.
    """

    resource_type = "delivery"
    account_column = "account_id"
    narrowed_by = {"categories": "category"}

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    webhook_id = IdColumn()
    event = TextColumn(max_length=32, choices=WebhookFilter.choices)
    account_id = IdColumn(null=True)
    integration_id = IdColumn(null=True)
    category = TextColumn(max_length=64, null=True)
    body = models.TextField()
    state = TextColumn(max_length=16, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    step = models.PositiveIntegerField(default=0)
    attempt_count = models.PositiveIntegerField(default=0)
    status_code = models.PositiveIntegerField(null=True, default=None)
    next_attempt_at = InstantColumn(null=True, default=None)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "webhook_id", "id"], name="delivery_by_id"),
            models.Index(fields=["organization", "webhook_id", "created_at", "id"], name="delivery_by_created_at"),
            models.Index(fields=["organization", "webhook_id", "state", "id"], name="delivery_by_state"),
            models.Index(fields=["updated_at"], name="delivery_by_updated_at"),
        ]

    def __str__(self) -> str:
        return f"delivery of {self.event} ({self.id})"


class DeliveryAttempt(Row):
    """One request to the receiver, or the reason why none was made, and the beginning of the answer."""

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    delivery_id = IdColumn()
    number = models.PositiveIntegerField()
    created_at = InstantColumn(default=timezone.now)
    duration_ms = models.PositiveIntegerField()
    status_code = models.PositiveIntegerField(null=True, default=None)
    error = TextColumn(max_length=1024, null=True, default=None)
    answer = TextColumn(max_length=2048, null=True, default=None)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization", "delivery_id", "number"], name="delivery_attempt_once")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"
