"""Statements that run at every request, past the driver's cursor: its adapters and protocol at a third of its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGresult

OFTEN = 5  # runs of a statement before it is planned once
MOST = 200  # statements that the server keeps for one connection
_SEEN = 1000
_BINARY = 1
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)
Shape = tuple[bytes, tuple[int, ...]]  # of a statement: its text, and the types of its values


class Direct:
    """The statements prepared on one connection, which works without the driver's transactions (autocommit).

    A cursor of psycopg is a state machine over a socket that never blocks, in Python. Here libpq waits by itself,
    with the interpreter's lock released.
    """

    def __init__(self, connection: Connection[Any]) -> None:
        self.pgconn = connection.pgconn
        self.transformer = Transformer(connection)
        self.prepared: dict[Shape, bytes] = {}  # and its name, the oldest first
        self.seen: Counter[Shape] = Counter()  # how often what is not prepared yet was run
        self.made = 0

    def command(self, sql: bytes) -> None:
        """Runs what takes no values and gives no rows, such as BEGIN."""
        self.checked(self.pgconn.exec_(sql))

    def rows(self, sql: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows that a statement with `$1`, `$2` and so on gives; none if it gives none."""
        transformer = self.transformer
        parameters: Any = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        shape = (sql, transformer.types or ())
        name = self.prepared.get(shape) or self.prepare(shape)
        if name is None:
            result = self.pgconn.exec_params(sql, parameters, transformer.types, transformer.formats, _BINARY)
        else:
            result = self.pgconn.exec_prepared(name, parameters, transformer.formats, _BINARY)
        self.checked(result)
        if result.status != ExecStatus.TUPLES_OK:
            return []
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def prepare(self, shape: Shape) -> bytes | None:
        """The name under which the server has planned what has run often; None before. The oldest one makes room."""
        self.seen[shape] += 1
        if self.seen[shape] <= OFTEN:
            if len(self.seen) > _SEEN:
                self.seen.clear()
            return None
        if len(self.prepared) >= MOST:
            oldest = self.prepared.pop(next(iter(self.prepared)))
            self.checked(self.pgconn.close_prepared(oldest))  # of the protocol, so that PgBouncer follows it
        self.made += 1
        name, (sql, types) = b"synqmgr_%d" % self.made, shape
        self.checked(self.pgconn.prepare(name, sql, types))
        del self.seen[shape]
        self.prepared[shape] = name
        return name

    def checked(self, result: PGresult) -> PGresult:
        """The result of what went well; else its error, as a cursor would raise it."""
        if result.status in _DONE:
            return result
        if self.pgconn.status == ConnStatus.BAD:
            raise OperationalError(self.pgconn.get_error_message())
        raise error_from_result(result)
