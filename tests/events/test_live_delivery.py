"""Deliveries of a real server by a real worker process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from standardwebhooks import Webhook

from tests.core.outbound_servers import reply
from tests.events.receiver import SECRET, WEBHOOKS, receiving
from tests.server import ROOT, Server, serving

PATIENCE = 60.0  # seconds, for a busy machine


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("deliveries")) as running:
        command = [sys.executable, "manage.py", "run_worker", "--threads", "4"]
        with (running.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, cwd=ROOT, env=running.environment, stdout=log, stderr=log)
        try:
            yield running
        finally:
            worker.terminate()
            worker.wait(timeout=PATIENCE)


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(server.url + path, data, headers, method=method), timeout=30) as answer:
        return json.loads(answer.read())["result"]


def until(condition: Any, what: str, log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"{what}:\n{log.read_text()}"
        time.sleep(0.005)


def test_change__of_an_account__reaches_the_receiver_soon(server: Server) -> None:
    log = server.folder / "worker.log"
    with receiving() as receiver:
        body = {"filters": ["account_create"], "url": receiver.url, "secret": {"value": SECRET}}
        webhook = call(server, "POST", WEBHOOKS, body)
        for number in range(3):
            started = time.monotonic()
            account = call(server, "POST", "/v1/accounts", {})["account"]
            until(lambda n=number: len(receiver.requests) > n, "nothing has arrived", log)
            print(f"arrived {time.monotonic() - started:.3f} s after the request began")  # noqa: T201
            request = receiver.requests[number]
            assert request.payload["account"] == account
            assert Webhook(SECRET).verify(request.body, request.headers) == request.payload
        path = f"{WEBHOOKS}/{webhook['id']}/deliveries"
        done = [{"state": "delivered", "status_code": 200, "attempt_count": 1}] * 3

        def shown() -> list[dict[str, Any]]:
            return [{name: d.get(name) for name in done[0]} for d in call(server, "GET", path)]

        until(lambda: shown() == done, "the deliveries were not recorded", log)


def test_receiver__that_hangs__does_not_keep_the_others_waiting(server: Server) -> None:
    log = server.folder / "worker.log"
    with receiving() as slow, receiving() as fast:
        slow.scripts = [reply(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 3, pause=4.0)]
        for receiver, environment in ((slow, "test"), (fast, "prod")):
            body = {
                "filters": ["account_create"], "url": receiver.url, "secret": {"value": SECRET},
                "environment": environment,
            }  # fmt: skip
            call(server, "POST", WEBHOOKS, body)
        call(server, "POST", "/v1/accounts", {"environment": "test"})
        until(lambda: slow.listener.accepts == 1, "the slow one was not called", log)
        started = time.monotonic()
        call(server, "POST", "/v1/accounts", {"environment": "prod"})
        until(lambda: fast.requests, "nothing has arrived", log)
        print(f"arrived {time.monotonic() - started:.3f} s after the request began, beside one that hangs")  # noqa: T201
        assert len(slow.requests) == 1
