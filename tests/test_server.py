"""The service as a process: it starts by the commands of the manual and ends cleanly."""

from __future__ import annotations

from urllib.request import Request, urlopen

import orjson

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
