"""The service as a process: it starts by the commands of the manual and ends cleanly."""

from __future__ import annotations

from urllib.request import Request, urlopen

import orjson
import psycopg
import pytest

from tests.server import Server


def test_server__first_token__creates_and_lists(live_server_process: Server) -> None:
    headers = {"Authorization": f"Bearer {live_server_process.token}", "Content-Type": "application/json"}
    url = live_server_process.url + "/v1/accounts"
    with urlopen(Request(url, b'{"name": "over-the-wire"}', headers)) as answer:
        made = orjson.loads(answer.read())["result"]["account"]
    assert made["organization_id"] == live_server_process.organization_id
    with urlopen(Request(url, headers=headers)) as answer:
        assert made in orjson.loads(answer.read())["result"]


def test_server__token_missing__is_refused(live_server_process: Server) -> None:
    assert live_server_process.status("/v1/accounts") == 401


def test_server__database_sessions_ended__are_replaced_unseen(live_server_process: Server) -> None:
    database = live_server_process.environment["DATABASE_URL"]
    if not database.startswith("postgres"):
        pytest.skip("SQLite has no sessions to end")
    url, token = live_server_process.url + "/v1/accounts", live_server_process.token
    with psycopg.connect(database, autocommit=True) as other:
        for _ in range(8):  # every thread of the server
            ended = other.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            assert ended is not None
            assert ended[0] >= 1
            with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
                assert answer.status == 200
