"""Requests that took effect under a key."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.tenancy import TenantModel


class IdempotentRequest(TenantModel):
    """A key of one token, and what was answered to the request that used it first.

    Without `sealed_answer` the request is under way. It takes effect and is answered in one transaction, which a
    later claim of the key, made once `claimed_at` is long past, turns into none: `claim_id` is no longer its own.
    """

    id = IdColumn(primary_key=True, default=new_id)
    organization_id = IdColumn()  # no foreign key: the row ends by its age
    token_id = IdColumn()
    key = TextColumn(max_length=255)
    fingerprint = models.BinaryField()  # keyed hash of address and body
    claim_id = IdColumn(default=new_id)
    claimed_at = InstantColumn(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    sealed_answer = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "token_id", "key"], name="idempotent_request_once"),
        ]
        indexes = [models.Index(fields=["claimed_at"], name="idempotent_request_by_age")]

    def __str__(self) -> str:
        return f"request {self.id}"
