"""Statements compiled once: the ORM writes the SQL, later calls only fill in the values."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, connection, connections, models
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


class Prepared:
    """The SQL of one queryset and where its values go."""

    __slots__ = ("native", "options", "parameters", "sql")

    def __init__(self, queryset: models.QuerySet[Any, Any]) -> None:
        self.sql: str | None
        try:
            self.sql, parameters = queryset.query.get_compiler(connection=connection).as_sql()
        except EmptyResultSet:  # a condition that no row meets, such as a narrowing with nothing left
            self.sql, parameters = None, ()
        self.parameters = list(parameters)
        postgresql = connection.vendor == "postgresql"
        self.native = self.sql if postgresql or self.sql is None else self.sql % (("?",) * len(self.parameters))
        self.options: dict[str, Any] = {"binary": True} if postgresql else {}

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """Runs the statement. Values come as the database driver gives them, without conversion.

        Past Django's cursors, which take as long as SQLite does, unless someone watches the queries.
        """
        if self.sql is None:
            return []
        bound = [p.bind(values[p.value]) if isinstance(p, Slot) else p for p in self.parameters]
        database: Any = connections[DEFAULT_DB_ALIAS]
        rows: list[tuple[Any, ...]]
        if database.queries_logged or database.execute_wrappers:
            with database.cursor() as cursor:
                cursor.execute(self.sql, bound)
                rows = cursor.fetchall()
            return rows
        database.ensure_connection()
        database.validate_no_broken_transaction()
        with database.wrap_database_errors:
            rows = database.connection.execute(self.native, bound, **self.options).fetchall()
        return rows


def prepared(shape: Hashable, build: Callable[[], models.QuerySet[Any, Any]]) -> Prepared:
    """The statement of a shape, compiled at its first use. `build` uses `Slot`s for whatever varies."""
    statement = _prepared.get(shape)
    if statement is None:
        statement = Prepared(build())
        if len(_prepared) >= _LARGEST:
            _prepared.pop(next(iter(_prepared)), None)  # the oldest; a hot one comes back at once
        _prepared[shape] = statement
    return statement
