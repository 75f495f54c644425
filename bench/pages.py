"""Pages of a large table: the last against the first, under every declared order; filters and totals."""

from __future__ import annotations

import statistics
import time
from urllib.parse import quote

from bench.servers import Server

ORDERS = ("name", "fullname", "created_at", "updated_at", "id")  # a test of the service holds this list true
LIMIT = 100


def measure(server: Server, *, times: int) -> dict[str, float]:
    """Each declared order -> the time of the last page over that of the first, of interleaved requests."""
    return {order: _ratio(server, order, times) for order in ORDERS}


def _ratio(server: Server, order: str, times: int) -> float:
    first = f"/v1/accounts?limit={LIMIT}&order={order}"
    backwards = server.get(f"/v1/accounts?limit={LIMIT + 1}&order={order}[desc]")["result"]
    last = f"{first}&start_after={quote(backwards[-1]['id'])}"
    shown = server.get(last)["result"]
    if [s["id"] for s in shown] != [s["id"] for s in reversed(backwards[:-1])]:
        raise RuntimeError(f"the last page under {order!r} is not the end of the list")
    taken: dict[str, list[float]] = {first: [], last: []}
    for _ in range(times):
        for path, times_of in taken.items():
            times_of.append(_seconds(server, path))
    return _undisturbed(taken[last]) / _undisturbed(taken[first])


def _undisturbed(taken: list[float]) -> float:
    """The fastest tenth's edge: what a request takes when nothing else holds the machine."""
    return statistics.quantiles(taken, n=10)[0]


def slow_queries(server: Server, *, times: int) -> dict[str, float]:
    """Requests that read more than their page, in milliseconds."""
    asked = {
        "filter=name[like]%99%": f"/v1/accounts?limit={LIMIT}&filter={quote('name[like]%99%')}",
        "filter=name[like]%zz% (no match)": f"/v1/accounts?limit={LIMIT}&filter={quote('name[like]%zz%')}",
        "total=true": f"/v1/accounts?limit={LIMIT}&total=true",
    }
    return {
        name: statistics.median(_seconds(server, path) for _ in range(times)) * 1000 for name, path in asked.items()
    }


def _seconds(server: Server, path: str) -> float:
    started = time.perf_counter()
    server.ask(path)
    return time.perf_counter() - started
