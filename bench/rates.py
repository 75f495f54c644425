"""Requests per second: interleaved rounds over the three servers, and their medians."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

from bench.servers import Server

OPERATIONS = ("list", "get", "create")
CONNECTIONS = 32


@dataclasses.dataclass(slots=True)
class Rates:
    """What was measured of one database."""

    rate: dict[tuple[str, str], float]  # (server, operation) -> median requests a second
    p99: dict[tuple[str, str], float]
    cpu: dict[tuple[str, str], float]  # microseconds of processor time a request
    memory: dict[str, float]  # server -> MiB after the load

    def of_limit(self, operation: str) -> float:
        return self.rate["service", operation] / self.rate["limit", operation]

    def of_stock(self, operation: str) -> float:
        return self.rate["service", operation] / self.rate["stock", operation]


def plans(server: Server, mark: str) -> dict[str, dict[str, Any]]:
    """The load of each operation. `mark` keeps the names of one round from those of another."""
    shown = server.get("/v1/accounts")
    page = shown.get("result") or shown["results"]
    body = f'{{"name":"bench-{mark}-#","fullname":"Bench account","environment":"test","labels":[]}}'
    return {
        "list": {"method": "GET", "path": "/v1/accounts"},
        "get": {"method": "GET", "path": f"/v1/accounts/{page[50]['id']}"},
        "create": {"method": "POST", "path": "/v1/accounts", "body": body},
    }


def measure(servers: dict[str, Server], *, rounds: int, seconds: float) -> Rates:
    taken: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for number in range(rounds):
        for operation in OPERATIONS:
            for name, server in servers.items():
                plan = plans(server, f"{number}-{name}")[operation]
                plan |= {"connections": CONNECTIONS, "seconds": seconds, "warmup": seconds / 4}
                taken.setdefault((name, operation), []).append(server.load(plan))
    return Rates(
        rate={key: statistics.median(m["rate"] for m in all_) for key, all_ in taken.items()},
        p99={key: statistics.median(m["p99"] for m in all_) for key, all_ in taken.items()},
        cpu={key: statistics.median(m["cpu"] for m in all_) for key, all_ in taken.items()},
        memory={name: server.memory() for name, server in servers.items()},
    )
