"""Changes that lock the same rows at the same time: on PostgreSQL each waits for the other, none is thrown out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.server import Server, serving

ROUNDS = 15


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One whose organization may be renamed."""
    with serving(tmp_path) as server:
        yield server


def call(server: Server, method: str, path: str, body: Any) -> int:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    try:
        with urlopen(
            Request(server.url + path, json.dumps(body).encode(), headers, method=method), timeout=60
        ) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def at_once(server: Server, works: list[tuple[str, str, list[Any]]]) -> set[int]:
    """The statuses of several series of requests, each from a thread of its own."""
    statuses: list[int] = []

    def repeat(method: str, path: str, bodies: list[Any]) -> None:
        statuses.extend(call(server, method, path, body) for body in bodies)

    threads = [threading.Thread(target=repeat, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return set(statuses)


def test_organization__changed_while_accounts_are_made__throws_nobody_out(live_server_process: Server) -> None:
    patch = [{"op": "add", "path": "/contact", "value": "ops@example.com"}]
    made: tuple[str, str, list[Any]] = ("POST", "/v1/accounts", [{}] * ROUNDS)
    works = [("PATCH", "/v1/organization", [patch] * ROUNDS), made, made]
    assert at_once(live_server_process, works) == {200}


def test_organization__renamed_while_accounts_are_changed__throws_nobody_out(server: Server) -> None:
    def renamed(word: str) -> list[Any]:
        return [[{"op": "add", "path": "/name", "value": f"{word}-{number}"}] for number in range(ROUNDS * 2)]

    works = [("PATCH", "/v1/organization", renamed("acme"))]
    for name in ("north", "south"):
        assert call(server, "POST", "/v1/accounts", {"name": name}) == 200
        works.append(("PATCH", f"/v1/accounts/{name}", [[{**each[0], "path": "/fullname"}] for each in renamed(name)]))
    assert at_once(server, works) == {200}
