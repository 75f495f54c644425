"""Counters: rows that are added to in one statement, so that no two writers undo each other's."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from django.db import connection

from core.prepared import Statement
from core.tenancy import TenantModel, current_scope


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
    `latest` become what they are now. Together they are all columns that the table has.
    """
    latest, first = latest or {}, first or {}
    values = {model.tenant_column: current_scope().organization_id, **key, **first, **add, **latest}
    statement, fields = _statement(model, tuple(values), tuple(key), tuple(add), tuple(latest))
    statement.run([field.get_db_prep_save(values[name], connection) for name, field in fields])


@functools.cache
def _statement(
    model: type[TenantModel],
    names: tuple[str, ...],
    key: tuple[str, ...],
    add: tuple[str, ...],
    latest: tuple[str, ...],
) -> tuple[Statement, list[tuple[str, Any]]]:
    """The statement, whose names are all the model's own, and the columns in its order."""
    fields: dict[str, Any] = {name: model._meta.get_field(name) for name in names}
    table, quote = connection.ops.quote_name(model._meta.db_table), connection.ops.quote_name
    columns = {name: quote(field.column) for name, field in fields.items()}
    changes = [f"{columns[name]} = {table}.{columns[name]} + excluded.{columns[name]}" for name in add]
    changes += [f"{columns[name]} = excluded.{columns[name]}" for name in latest]
    sql = (
        f"INSERT INTO {table} ({', '.join(columns.values())}) "  # noqa: S608 - see above
        f"VALUES ({', '.join(['%s'] * len(columns))}) "
        f"ON CONFLICT ({', '.join(columns[name] for name in key)}) DO UPDATE SET {', '.join(changes)}"
    )
    return Statement(sql, len(columns)), list(fields.items())
