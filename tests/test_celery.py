"""Celery workers do what the run ledger says, woken by a real broker."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.faults.ledger import Ledger
from tests.faults.storm import Storm
from tests.server import ROOT, Server, free_port, serving

BROKERS = {"redis": "redis://127.0.0.1:6379/9", "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//"}
SECONDS = 40


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    url = BROKERS[request.param]
    at = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((str(at.hostname), int(at.port or 0))):
            pytest.skip(f"no {request.param} on this machine")
    return url


@contextlib.contextmanager
def celery_worker(server: Server) -> Iterator[None]:
    folder = server.folder
    options = ["-B", "-c", "2", "-s", str(folder / "beat"), "--pidfile="]
    with (folder / "celery.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "synqmgr", "worker", *options],
            cwd=ROOT, env=server.environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def wait_for(ledger: Ledger, accounts: set[str]) -> set[str]:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        got = {account for _, account in ledger.received}
        if accounts <= got:
            return got
        time.sleep(0.05)
    return {account for _, account in ledger.received}


def make(storm: Storm) -> str:
    status, answer = storm.call("POST", "/v1/accounts", {"fullname": "Woken"})
    assert status == 200
    made: str = answer["result"]["account"]["id"]
    return made


def test_celery__with_a_broker__delivers(tmp_path: Path, broker: str) -> None:
    queue = f"test-{uuid.uuid4().hex[:8]}"
    with serving(tmp_path, CELERY_BROKER_URL=broker, SYNQMGR_CELERY_QUEUE=queue) as server, celery_worker(server):
        storm = Storm(server, tmp_path)
        storm.subscribe()
        first = make(storm)
        assert wait_for(storm.ledger, {first}) == {first}, (tmp_path / "celery.log").read_text()
        more = {make(storm) for _ in range(10)}  # one of them is refused at first
        assert wait_for(storm.ledger, more) == more | {first}
        assert max(storm.ledger.received.values()) == 1


def test_celery__with_a_port__tells_the_numbers_of_its_processes(tmp_path: Path, broker: str) -> None:
    queue, port = f"test-{uuid.uuid4().hex[:8]}", free_port()
    more = {"CELERY_BROKER_URL": broker, "SYNQMGR_CELERY_QUEUE": queue, "SYNQMGR_WORKER_METRICS": f"127.0.0.1:{port}"}
    with serving(tmp_path, **more) as server, celery_worker(server):
        storm = Storm(server, tmp_path)
        storm.subscribe()
        wait_for(storm.ledger, {make(storm)})
        until, text = time.monotonic() + SECONDS, ""
        while 'synqmgr_runs_total{kind="delivery",outcome="done"}' not in text:
            assert time.monotonic() < until, text + (tmp_path / "celery.log").read_text()
            time.sleep(0.1)
            with contextlib.suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()


def test_celery__whose_broker_is_away__holds_up_no_change_and_delivers_later(tmp_path: Path) -> None:
    gone = "redis://127.0.0.1:1/0"
    with serving(tmp_path, CELERY_BROKER_URL=gone) as server:
        storm = Storm(server, tmp_path)
        storm.subscribe()
        made = {make(storm) for _ in range(3)}
        with storm.working():  # any other worker does as well
            assert wait_for(storm.ledger, made) == made
