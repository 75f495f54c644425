"""Changes that lock the same rows at the same time: on PostgreSQL each waits for the other, none is thrown out."""

from __future__ import annotations

import json
import threading
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.server import Server

ROUNDS = 15


def call(server: Server, method: str, path: str, body: Any) -> int:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    try:
        with urlopen(
            Request(server.url + path, json.dumps(body).encode(), headers, method=method), timeout=60
        ) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_organization__changed_while_accounts_are_made__throws_nobody_out(live_server_process: Server) -> None:
    statuses: list[int] = []
    patch = [{"op": "add", "path": "/contact", "value": "ops@example.com"}]

    def repeat(method: str, path: str, body: Any) -> None:
        statuses.extend(call(live_server_process, method, path, body) for _ in range(ROUNDS))

    works = [("PATCH", "/v1/organization", patch), ("POST", "/v1/accounts", {}), ("POST", "/v1/accounts", {})]
    threads = [threading.Thread(target=repeat, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
