"""Counts in a table of PostgreSQL, for any number of machines. It is not logged: a crash of the database empties it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connections

_NOW = "extract(epoch FROM statement_timestamp())::float8"
# An end beyond any window's is that of a clock that was set back since.
_RUNS = f"core_limit.ends > {_NOW} AND core_limit.ends < excluded.ends + %(window)s::float8"
_ADD = f"""
INSERT INTO core_limit (key, count, ends) VALUES (%(key)s::text, %(batch)s::bigint, {_NOW} + %(window)s::float8)
ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN {_RUNS} THEN core_limit.count ELSE 0 END + excluded.count,
    ends = CASE WHEN {_RUNS} THEN core_limit.ends ELSE excluded.ends END
RETURNING count, ends - {_NOW}
"""  # noqa: S608 - its own parts
_SWEEP = f"""
DELETE FROM core_limit WHERE ends <= {_NOW} AND key IN (
    SELECT key FROM core_limit WHERE ends <= {_NOW} ORDER BY ends LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
"""  # noqa: S608
_PATIENCE, _SECONDS_TO_CONNECT = "1s", 2  # a count is not worth a longer wait
_SWEEP_EVERY, _SWEEP_MOST = 256, 1024  # the sweep removes more than was added since the last one


class TableStore:
    """One connection of its own: a count stays counted, whatever becomes of the request's transaction."""

    name: ClassVar[str] = "table"
    errors: ClassVar[tuple[type[Exception], ...]] = (Error,)

    def __init__(self) -> None:
        self.database: Any = connections.create_connection(DEFAULT_DB_ALIAS)
        options = self.database.settings_dict.get("OPTIONS", {}) | {"connect_timeout": _SECONDS_TO_CONNECT}
        self.database.settings_dict = self.database.settings_dict | {"OPTIONS": options}
        self.database.inc_thread_sharing()  # the limiter lets one thread in at a time
        self.asked = 0

    def add(self, key: str, batch: int, window: int) -> tuple[int, float]:
        self.asked += 1
        values = {"key": key, "batch": batch, "window": window}
        try:
            count, seconds = self.run(values)
        except (OperationalError, InterfaceError):
            if self.database.is_usable():
                raise  # the database is slow, which is no reason to ask it again
            self.database.close()  # the connection died while nobody used it
            count, seconds = self.run(values)
        return count, seconds

    def run(self, values: dict[str, Any]) -> tuple[int, float]:
        if self.database.connection is None:
            self.connect()
        with self.database.cursor() as cursor:
            if self.asked % _SWEEP_EVERY == 0:
                cursor.execute(_SWEEP, {"most": _SWEEP_MOST})
            cursor.execute(_ADD, values)
            row: tuple[int, float] = cursor.fetchone()
        return row

    def connect(self) -> None:
        self.database.connect()
        if self.database.is_tenant:  # else the session may be a pooler's, which hands it to others
            with self.database.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = '{_PATIENCE}'")

    def close(self) -> None:
        self.database.close()
