"""Limits against the server as several processes: racing requests let through exactly as many as the limit says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from redis import Redis, RedisError

from tests.server import Server, free_port, serving
from tests.test_races import at_once, send, statuses

AT_ONCE, LIMIT = 50, 5
LIMITS = {"WORKERS": "2", "SYNQMGR_LIMITS": f"token={LIMIT}/3600,stranger={LIMIT}/3600"}
REDIS = os.environ.get("SYNQMGR_REDIS_URL", "redis://127.0.0.1:6379/0")


def race(server: Server, token: str = "") -> dict[int, int]:
    """What requests at the same time are answered."""
    return statuses(at_once([lambda: send(server, "GET", "/v1/accounts", token=token)] * AT_ONCE))


def test_limit__fifty_at_once_in_two_processes__lets_exactly_five_through(tmp_path: Path) -> None:
    with serving(tmp_path, **LIMITS) as server:
        assert race(server) == {200: LIMIT, 429: AT_ONCE - LIMIT}
        assert race(server) == {429: AT_ONCE}
        assert race(server, "made-up") == {401: LIMIT, 429: AT_ONCE - LIMIT}
        assert race(server, "made-up") == {429: AT_ONCE}
        assert server.status("/livez") == 200


def test_limit__counted_in_redis__lets_exactly_five_through(tmp_path: Path) -> None:
    client = Redis.from_url(REDIS, socket_connect_timeout=0.5)
    try:
        client.ping()
    except RedisError:
        pytest.skip(f"no Redis answers at {REDIS}")
    with serving(tmp_path, **LIMITS, SYNQMGR_REDIS_URL=REDIS) as server:
        assert race(server) == {200: LIMIT, 429: AT_ONCE - LIMIT}
        counted = [key for key in client.scan_iter("synqmgr:limit:token *") if client.ttl(key) > 3500]
        assert counted
        client.delete(*counted)
        assert "limit_store_failed" not in server.log


def test_limit__redis_away__is_counted_by_the_installation_itself(tmp_path: Path) -> None:
    with serving(tmp_path, **LIMITS, SYNQMGR_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        assert race(server) == {200: LIMIT, 429: AT_ONCE - LIMIT}
        assert 1 <= server.log.count("limit_store_failed") <= 2  # once for each process
