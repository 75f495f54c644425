"""Finding a tenant: the query that must see every organization's rows, because it tells which one is asking."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from django.db import connection, models

from core.prepared import Prepared, Slot, opened, prepared
from core.scope import FINDING
from core.tenancy import Scope, scoped

_FINDING = Scope(FINDING)


class Lookup:
    """A query of `Slot`s, one of whose columns is the organization it finds.

    Where row level security is on it is a function of the tables' owner, which answers for one value at a time,
    and the statement that calls it also tells the session the organization: no round trip for that alone. The
    function's name follows its text, so servers of two versions each call their own.
    """

    def __init__(self, name: str, query: Callable[[], models.QuerySet[Any, Any]], *, tenant_at: int) -> None:
        self.name, self.query, self.tenant_at = name, query, tenant_at

    @functools.cached_property
    def compiled(self) -> tuple[str, tuple[Slot, ...]]:
        """PostgreSQL's text of the query, with %s where its slots go."""
        sql, parameters = self.query().query.get_compiler(connection=connection).as_sql()
        if not all(isinstance(p, Slot) for p in parameters):
            raise TypeError(f"the look-up {self.name!r} has a constant among its values")
        return sql, tuple(parameters)

    @functools.cached_property
    def function(self) -> str:
        digest = hashlib.sha256(self.compiled[0].encode()).hexdigest()[:8]
        return f"synqmgr_find_{self.name}_{digest}"

    def rows(self, **values: Any) -> list[tuple[Any, ...]]:
        """The rows found, whosever they are. The session has the organization of the first one from here on."""
        database = opened()
        is_tenant = getattr(database, "is_tenant", False)
        statement = self.telling if is_tenant else prepared(("lookup", self.name), self.query)
        with scoped(_FINDING):
            rows = statement.rows(**values)
        if not is_tenant:
            return rows
        if rows:
            database.told = rows[0][-1]
        return [row[:-1] for row in rows]

    @functools.cached_property
    def telling(self) -> Prepared:
        """The call of the function, which sets the organization in its select list."""
        slots = self.compiled[1]
        places = ", ".join(["%s"] * len(slots))
        return Prepared.of(
            f"SELECT *, set_config('app.org', c{self.tenant_at}, false) FROM {self.function}({places})",  # noqa: S608
            slots,
        )

    @property
    def signature(self) -> str:
        return f"{self.function}({', '.join(['text'] * len(self.compiled[1]))})"

    def definition(self, cursor: Any) -> list[str]:
        """The statements that make the function, none if it is there as it should be. Whoever runs them owns it."""
        sql, slots = self.compiled
        cursor.execute(sql, [None] * len(slots))
        kinds = [column.type_code for column in cursor.description]
        cursor.execute("SELECT format_type(kind, NULL) FROM unnest(%s::oid[]) AS kind", [kinds])
        answer = "TABLE(" + ", ".join(f"c{i} {kind}" for i, (kind,) in enumerate(cursor.fetchall())) + ")"
        cursor.execute("SELECT pg_get_function_result(to_regprocedure(%s)), current_schema()", [self.signature])
        found, schema = cursor.fetchone()
        if found == answer:
            return []
        body = sql % tuple(f"${i}" for i in range(1, len(slots) + 1))
        return [
            f"DROP FUNCTION IF EXISTS {self.signature}",
            f"CREATE FUNCTION {self.signature} RETURNS {answer} LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER "
            f'SET search_path = "{schema}", pg_temp AS $find$ BEGIN RETURN QUERY {body}; END $find$',
            f"REVOKE ALL ON FUNCTION {self.signature} FROM PUBLIC",
        ]
