"""Statements compiled once: the ORM writes the SQL, later calls only fill in the values."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, models
from django.db.models import Value

_LARGEST = 512  # shapes kept
_prepared: dict[Hashable, Prepared] = {}


class Slot(Value):
    """A named place for a value in a query that is compiled before the value is known."""

    def __init__(self, name: str, output_field: models.Field[Any, Any]) -> None:
        super().__init__(name, output_field=output_field)
        self.column = output_field

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]

    def bind(self, value: Any) -> Any:
        return self.column.get_db_prep_value(value, connection)


class Statement:
    """SQL that goes past Django's cursors, which take as long as SQLite does, unless someone counts them."""

    __slots__ = ("native", "places", "reads", "sql")

    def __init__(self, sql: str, places: int) -> None:
        self.sql, self.places = sql, places
        self.reads = sql.startswith("SELECT") or " RETURNING " in sql
        self.native: Any = sql % (("?",) * places)
        if connection.vendor == "postgresql":
            self.native = (sql % tuple(f"${number}" for number in range(1, places + 1))).encode()

    def run(self, values: list[Any]) -> list[tuple[Any, ...]]:
        """The rows it gives. Values go and come as the driver has them, without conversion."""
        database = opened()
        rows: list[tuple[Any, ...]]
        if database.force_debug_cursor or database.execute_wrappers:
            with database.cursor() as cursor, database.wrap_database_errors:
                cursor.execute(self.sql, values)
                rows = cursor.fetchall() if self.reads else []
            return rows
        database.validate_no_broken_transaction()
        with database.wrap_database_errors:
            rows = database.rows(self.native, values)
        return rows


def opened() -> Any:
    """This thread's connection to the database, open."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    return database


class Prepared:
    """The statement of one queryset and where its values go."""

    __slots__ = ("parameters", "statement")

    def __init__(self, queryset: models.QuerySet[Any, Any] | None) -> None:
        self.parameters: list[Any] = []
        self.statement: Statement | None = None
        if queryset is None:
            return
        with contextlib.suppress(
            EmptyResultSet
        ):  # a condition that no row meets, such as a narrowing with nothing left
            sql, parameters = queryset.query.get_compiler(connection=connection).as_sql()
            self.parameters, self.statement = list(parameters), Statement(sql, len(parameters))

    @classmethod
    def of(cls, sql: str, slots: Sequence[Slot]) -> Prepared:
        """A statement that is not a queryset's."""
        made = cls(None)
        made.parameters, made.statement = list(slots), Statement(sql, len(slots))
        return made

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Runs the statement with these values in its slots. A connection that died unused is replaced."""
        if self.statement is None:
            return []
        bound = [p.bind(values[p.value]) if isinstance(p, Slot) else p for p in self.parameters]
        try:
            return self.statement.run(bound)
        except OperationalError:
            database = connections[DEFAULT_DB_ALIAS]
            if database.in_atomic_block or database.is_usable():
                raise
            database.close()
            return self.statement.run(bound)


def prepared(shape: Hashable, build: Callable[[], models.QuerySet[Any, Any]]) -> Prepared:
    """The statement of a shape, compiled at its first use. `build` uses `Slot`s for whatever varies."""
    statement = _prepared.get(shape)
    if statement is None:
        statement = Prepared(build())
        if len(_prepared) >= _LARGEST:
            _prepared.pop(next(iter(_prepared)), None)  # the oldest; a hot one comes back at once
        _prepared[shape] = statement
    return statement
