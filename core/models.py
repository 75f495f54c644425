"""Core's tables, and the base that every resource's table inherits."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, models, transaction
from django.utils import timezone

from core.columns import IdColumn, InstantColumn, TextColumn, new_id
from core.crypto.models import OrganizationKey, SystemKey
from core.errors import DuplicateNameError
from core.idempotency.models import IdempotentRequest
from core.ledger.models import Chore, Run, Worker
from core.prepared import Statement
from core.tenancy import TenantModel

__all__ = [
    "Chore",
    "IdempotentRequest",
    "Named",
    "OrganizationKey",
    "Resource",
    "Run",
    "SystemKey",
    "Timed",
    "Worker",
    "named_once",
    "sorted_by",
]


_BATCH = 50  # rows of one statement: each number of them is compiled


class Row(TenantModel):
    """A row with an id of its own making, written often."""

    class Meta:
        abstract = True

    def save_base(self, *, force_insert: Any = False, using: str | None = None, **kwargs: Any) -> None:  # type: ignore[override] # Django names them
        """A new row is one prepared statement: Django compiles one for each. No signals are sent, and none are used."""
        if not force_insert:
            super().save_base(using=using, **kwargs)
            return
        with transaction.mark_for_rollback_on_error(using=using):
            (fields, statement), database = _insertion_of_all(type(self)), connections[using or DEFAULT_DB_ALIAS]
            statement.run([field.get_db_prep_save(field.pre_save(self, add=True), database) for field in fields])
        self._state.db, self._state.adding = using, False


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


class Named(Timed):
    """A row with a name that no other of its scope has. Nobody asks before: the database says which one is taken."""

    resource_type: ClassVar[str]  # the contract's noun, as problems name it
    name_scope: ClassVar[tuple[str, ...]] = ()  # the columns whose values share the names
    reserved_names: ClassVar[frozenset[str]] = frozenset()  # words that its addresses use
    name_at = "/name"  # where in the body the name stands

    name: Any
    fullname: Any

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().save(*args, **kwargs)
        except IntegrityError as error:
            if not self._is_of_name(error):
                raise
            raise DuplicateNameError.of(self.name, self.name_at) from error

    def _is_of_name(self, error: IntegrityError) -> bool:
        """Whether a constraint was broken that makes the name unique: see `named_once`."""
        table, told = self._meta.db_table, getattr(error.__cause__, "diag", None)
        if told is not None:
            return bool(told.table_name == table and "_name_" in (told.constraint_name or ""))
        return str(error).endswith(f"{table}.name")


class Resource(Named):
    """What every resource has: an id, a name, a full name, an organization and its times."""

    name_scope: ClassVar[tuple[str, ...]] = ("organization_id",)

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
def insertion(model: type[models.Model], fields: tuple[models.Field[Any, Any], ...], rows: int = 1) -> Statement:
    """The statement that inserts so many rows of these columns, compiled once."""
    quote = connection.ops.quote_name
    names, places = ", ".join(quote(str(f.column)) for f in fields), ", ".join(["%s"] * len(fields))
    values = ", ".join([f"({places})"] * rows)
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({names}) VALUES {values}"  # noqa: S608 - the model's names
    return Statement(sql, len(fields) * rows)


@functools.cache
def _insertion_of_all(model: type[models.Model]) -> tuple[tuple[models.Field[Any, Any], ...], Statement]:
    fields: Any = tuple(model._meta.concrete_fields)
    return fields, insertion(model, fields)


def insert_rows(model: type[models.Model], columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Adds rows that nobody needs as instances. Values are as the driver takes them, in the order of the columns."""
    fields: Any = tuple(model._meta.get_field(column) for column in columns)
    for at in range(0, len(rows), _BATCH):
        batch = rows[at : at + _BATCH]
        insertion(model, fields, len(batch)).run([value for row in batch for value in row])


def named_once(table: str, *scope: str) -> models.UniqueConstraint:
    """The constraint that makes a name unique in its scope."""
    return models.UniqueConstraint(fields=[*(scope or ("organization",)), "name"], name=f"{table}_name_once")


def sorted_by(table: str, *columns: str) -> list[models.Index]:
    """One index for each declared order, so that a page costs the same wherever it starts."""
    return [
        models.Index(fields=list(dict.fromkeys(["organization", column, "id"])), name=f"{table}_by_{column}")
        for column in columns
    ]
