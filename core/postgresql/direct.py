"""Statements that run at every request, past the driver's cursor: its adapters and protocol at a third of its cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

_MOST = 200  # statements that the server keeps for one connection
_BINARY = 1
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Direct:
    """The statements prepared on one connection, which works without the driver's transactions (autocommit).

    A cursor of psycopg is a state machine over a socket that never blocks, in Python. Here libpq waits by itself,
    with the interpreter's lock released.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self.pgconn = connection.pgconn
        self.transformer = Transformer(connection)
        self.prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}  # the oldest first
        self.made = 0

    def command(self, sql: bytes) -> None:
        """Runs what takes no values and gives no rows, such as BEGIN."""
        self.checked(self.pgconn.exec_(sql))

    def rows(self, sql: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows that a statement with `$1`, `$2` and so on gives; none if it gives none."""
        transformer = self.transformer
        parameters: Any = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        name = self.prepared.get((sql, transformer.types or ())) or self.prepare(sql, transformer.types or ())
        result = self.checked(self.pgconn.exec_prepared(name, parameters, transformer.formats, _BINARY))
        if result.status != ExecStatus.TUPLES_OK:
            return []
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def prepare(self, sql: bytes, types: tuple[int, ...]) -> bytes:
        """The name of a statement for values of these types, planned once. The oldest one makes room."""
        if len(self.prepared) >= _MOST:
            self.command(b"DEALLOCATE " + self.prepared.pop(next(iter(self.prepared))))
        self.made += 1
        name = b"synqmgr_%d" % self.made
        self.checked(self.pgconn.prepare(name, sql, types))
        self.prepared[sql, types] = name
        return name

    def checked(self, result: PGresult) -> PGresult:
        """The result of what went well; else its error, as a cursor would raise it."""
        if result.status in _DONE:
            return result
        if self.pgconn.status == ConnStatus.BAD:
            raise OperationalError(self.pgconn.get_error_message())
        raise error_from_result(result)
