"""Core's tables, and the base that every resource's table inherits."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, connections, models
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.crypto.models import OrganizationKey, SystemKey
from core.idempotency.models import IdempotentRequest
from core.ledger.models import Chore, Run, Worker
from core.prepared import Statement
from core.tenancy import TenantModel

__all__ = [
    "Chore",
    "IdempotentRequest",
    "OrganizationKey",
    "Resource",
    "Run",
    "SystemKey",
    "Timed",
    "Worker",
    "named_once",
    "sorted_by",
]


class Row(TenantModel):
    """A row with an id of its own making, written often."""

    class Meta:
        abstract = True

    def _do_insert(self, manager: Any, using: Any, fields: Any, returning_fields: Any, raw: Any) -> Any:
        """Django's own compiles the statement anew for every row, which takes as long as running it."""
        database = connections[using]
        values = [field.get_db_prep_save(field.pre_save(self, add=True), database) for field in fields]
        insertion(type(self), tuple(fields)).run(values)
        return []


class Timed(Row):
    """A row with its times. `updated_at` is the optimistic lock and the ETag, so it only ever moves on."""

    created_at = InstantColumn(default=timezone.now, editable=False)
    updated_at = InstantColumn(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self._state.adding:
            self.updated_at = self.created_at
        super().save(*args, **kwargs)

    def touch(self) -> None:
        """Says that the row changes now."""
        self.updated_at = max(timezone.now(), self.updated_at + dt.timedelta(microseconds=1))


class Resource(Timed):
    """What every resource has: an id, a name, a full name, an organization and its times."""

    resource_type: ClassVar[str]  # the contract's noun, as problems name it
    name_scope: ClassVar[tuple[str, ...]] = ("organization_id",)  # where a name is unique
    reserved_names: ClassVar[frozenset[str]] = frozenset()  # words that its addresses use

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(
        settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", db_index=False, editable=False
    )
    name = TextColumn(max_length=255)
    fullname = TextColumn(max_length=255)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.resource_type} {self.name} ({self.id})"


@functools.cache
def insertion(model: type[models.Model], fields: tuple[models.Field[Any, Any], ...]) -> Statement:
    """The statement that inserts one row of these columns, compiled once."""
    quote = connection.ops.quote_name
    names, places = ", ".join(quote(str(f.column)) for f in fields), ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES ({places})"  # noqa: S608 - the model's names
    return Statement(sql, len(fields))


def named_once(table: str, *scope: str) -> models.UniqueConstraint:
    """The constraint that makes a name unique in its scope."""
    return models.UniqueConstraint(fields=[*(scope or ("organization",)), "name"], name=f"{table}_name_once")


def sorted_by(table: str, *columns: str) -> list[models.Index]:
    """One index for each declared order, so that a page costs the same wherever it starts."""
    return [
        models.Index(fields=list(dict.fromkeys(["organization", column, "id"])), name=f"{table}_by_{column}")
        for column in columns
    ]
