"""Statements that run at every request, past the driver's cursor: its adapters and protocol at a third of its cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import FeatureNotSupported, InvalidSqlStatementName, error_from_result
from psycopg.pq import ConnStatus, ExecStatus, TransactionStatus
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
        self.prepared: dict[Shape, bytes] = {}  # and its name, what was not run longest first
        self.seen: Counter[Shape] = Counter()  # how often what is not prepared yet was run
        self.made = 0

    def command(self, sql: bytes) -> None:
        """Runs what takes no values and gives no rows, such as BEGIN."""
        self.checked(self.pgconn.exec_(sql))

    def rows(self, sql: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows that a statement with `$1`, `$2` and so on gives; none if it gives none."""
        transformer = self.transformer
        parameters: Any = transformer.dump_sequence(values, [PyFormat.AUTO] * len(values))
        try:
            result = self.run((sql, transformer.types or ()), parameters)
        except (InvalidSqlStatementName, FeatureNotSupported):
            # Somebody took the prepared ones away, or a table has changed: whoever comes next prepares them anew.
            self.prepared.clear()
            if self.pgconn.transaction_status != TransactionStatus.IDLE:
                raise
            self.command(b"DEALLOCATE ALL")
            result = self.run((sql, transformer.types or ()), parameters)
        if result.status != ExecStatus.TUPLES_OK:
            return []
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)

    def run(self, shape: Shape, parameters: Any) -> PGresult:
        """The result of one run, of a prepared statement if it has become one."""
        (sql, types), formats = shape, self.transformer.formats
        name = self.prepared.pop(shape, None) or self.prepare(shape)
        if name is None:
            return self.checked(self.pgconn.exec_params(sql, parameters, types, formats, _BINARY))
        self.prepared[shape] = name  # the latest
        return self.checked(self.pgconn.exec_prepared(name, parameters, formats, _BINARY))

    def prepare(self, shape: Shape) -> bytes | None:
        """The name of what the server has planned, as it was run often; None before. What was not run longest goes."""
        self.seen[shape] += 1
        if self.seen[shape] <= OFTEN:
            if len(self.seen) > _SEEN:
                self.seen.clear()
            return None
        if len(self.prepared) >= MOST:
            oldest = self.prepared.pop(next(iter(self.prepared)))
            self.checked(self.pgconn.close_prepared(oldest))  # of the protocol (libpq 17), so that PgBouncer follows it
        self.made += 1
        name, (sql, types) = b"synqmgr_%d" % self.made, shape
        self.checked(self.pgconn.prepare(name, sql, types))
        del self.seen[shape]
        return name

    def checked(self, result: PGresult) -> PGresult:
        """The result of what went well; else its error, as a cursor would raise it."""
        if result.status in _DONE:
            return result
        if self.pgconn.status == ConnStatus.BAD:
            raise OperationalError(self.pgconn.get_error_message())
        raise error_from_result(result)
