"""Counters: rows that are added to in one statement, so that no two writers undo each other's."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from django.db import connection, models

from core.tenancy import TenantModel


def count_in(
    model: type[TenantModel],
    key: Mapping[str, Any],
    *,
    add: Mapping[str, int],
    first: Mapping[str, Any] | None = None,
    latest: Mapping[str, Any] | None = None,
) -> None:
    """Adds to the row of a key in the organization in scope, which is made if it is not there.

    `key` are the columns of a unique constraint, `add` are added up, `first` stay as they are set with a new row, and
    `latest` become what they are now.
    """
    latest = latest or {}
    row = model.in_scope(**key, **add, **(first or {}), **latest)
    fields = [field for field in model._meta.concrete_fields if not field.generated and not _is_serial(field)]
    values = [field.get_db_prep_save(field.pre_save(row, add=True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(_statement(model, tuple(fields), tuple(key), tuple(add), tuple(latest)), values)


def _is_serial(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.AutoField | models.BigAutoField)


@functools.cache
def _statement(
    model: type[TenantModel],
    fields: tuple[models.Field[Any, Any], ...],
    key: tuple[str, ...],
    add: tuple[str, ...],
    latest: tuple[str, ...],
) -> str:
    """The SQL, whose names are all the model's own."""

    def quoted(name: str) -> str:
        field: Any = model._meta.get_field(name)
        return connection.ops.quote_name(field.column)

    table = connection.ops.quote_name(model._meta.db_table)
    names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    changes = [f"{quoted(name)} = {table}.{quoted(name)} + excluded.{quoted(name)}" for name in add]
    changes += [f"{quoted(name)} = excluded.{quoted(name)}" for name in latest]
    return (
        f"INSERT INTO {table} ({names}) VALUES ({places}) "  # noqa: S608 - see above
        f"ON CONFLICT ({', '.join(map(quoted, key))}) DO UPDATE SET {', '.join(changes)}"
    )
