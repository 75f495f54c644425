"""What calling a provider costs: requests, bytes on the wire, statements and time of the processor."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from django.db import connection


@dataclasses.dataclass(slots=True)
class Cost:
    """Adds up while `metered` is entered."""

    cpu_time: int = 0  # microseconds
    db_ops: int = 0
    api_ops: int = 0  # requests sent
    in_bytes: int = 0  # received, TLS not counted
    out_bytes: int = 0


_cost: ContextVar[Cost | None] = ContextVar("cost", default=None)


@contextlib.contextmanager
def metered() -> Iterator[Cost]:
    """Measures what is sent, received and done inside."""
    cost = Cost()

    def count_statement(execute: Any, *args: Any) -> Any:
        cost.db_ops += 1
        return execute(*args)

    token, began = _cost.set(cost), time.thread_time_ns()
    try:
        with connection.execute_wrapper(count_statement):
            yield cost
    finally:
        cost.cpu_time += (time.thread_time_ns() - began) // 1000
        _cost.reset(token)


def meter(*, api_ops: int = 0, in_bytes: int = 0, out_bytes: int = 0) -> None:
    """Adds to the cost that is being measured, if one is."""
    if (cost := _cost.get()) is not None:
        cost.api_ops += api_ops
        cost.in_bytes += in_bytes
        cost.out_bytes += out_bytes
