"""The load: one process, many keep-alive connections, raw sockets and epoll. Prints what it measured as JSON."""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
Make = Callable[[], bytes]


class Connection:
    """One connection with one request on its way at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.needs = 0
        self.since = 0.0

    def ask(self, request: bytes) -> None:
        self.data, self.needs = b"", 0
        self.since = time.perf_counter()
        self.socket.sendall(request)

    def read(self) -> int:
        """The status of the answer once it is complete, 0 before."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the server closed the connection")
        self.data = self.data + part if self.data else part
        if not self.needs:
            end = self.data.find(b"\r\n\r\n")
            if end < 0:
                return 0
            length = _LENGTH.search(self.data, 0, end)
            self.needs = end + 4 + (int(length[1]) if length else 0)
        return int(self.data[9:12]) if len(self.data) >= self.needs else 0


def requests_of(plan: dict[str, Any]) -> Make:
    """What makes each request's bytes."""
    head = f"{plan['method']} {plan['path']} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {plan['token']}\r\n"
    if plan["method"] == "GET":
        request = f"{head}\r\n".encode()
        return lambda: request
    number, body = 0, plan["body"]

    def make() -> bytes:
        nonlocal number
        number += 1
        text = body.replace("#", f"{number:08}")
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()

    return make


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Keeps every connection busy for the seconds asked; the first part of them is not counted."""
    make = requests_of(plan)
    connections = [Connection(plan["port"]) for _ in range(plan["connections"])]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask(make())
    taken: list[float] = []
    answered = failed = 0
    start = time.perf_counter() + plan["warmup"]
    end = start + plan["seconds"]
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(timeout=1):
            connection = key.data
            status = connection.read()
            if not status:
                continue
            answered += 1
            failed += not 200 <= status < 300
            if now >= start:
                taken.append(time.perf_counter() - connection.since)
            connection.ask(make())
    taken.sort()
    return {
        "rate": len(taken) / plan["seconds"],
        "p50": taken[len(taken) // 2] * 1000 if taken else 0.0,
        "p99": taken[len(taken) * 99 // 100] * 1000 if taken else 0.0,
        "answered": answered,
        "failed": failed,
    }


if __name__ == "__main__":
    print(json.dumps(run(json.load(sys.stdin))))
