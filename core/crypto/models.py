"""Tables of wrapped keys. They belong to no tenant's view: nothing of them is ever shown."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn
from core.crypto.primitives import pack


class WrappedKey(models.Model):
    """A key under a root key. Only a rewrap changes a row, and it always changes `root_version`."""

    generation = models.PositiveIntegerField()
    root_version = models.PositiveIntegerField()
    wrapped = models.BinaryField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self._meta.db_table} {self.pk}"

    def context(self) -> bytes:
        """Which key this is; bound to the wrapped bytes, so that they open in no other row."""
        raise NotImplementedError


class OrganizationKey(WrappedKey):
    """One generation of an organization's key. Without its rows nothing of the organization opens."""

    tenant_column: ClassVar[str] = "organization_id"  # row level security holds here, too

    organization_id = IdColumn()
    created_at = InstantColumn(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["organization_id", "generation"], name="organization_key_generation"),
        ]

    def context(self) -> bytes:
        return pack(b"organization", self.organization_id.encode(), str(self.generation).encode())


class SystemKey(WrappedKey):
    """A key of the installation itself, such as the one that hashes tokens."""

    purpose = TextColumn(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["purpose", "generation"], name="system_key_generation"),
        ]

    def context(self) -> bytes:
        return pack(b"system", self.purpose.encode(), str(self.generation).encode())
