"""A storm: clients create accounts while processes are killed, at named points and at any time."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from core.faults import POINTS
from tests.faults.cluster import children_of
from tests.faults.ledger import Ledger, Receiver
from tests.server import ROOT, Server, serving

CLIENTS = 3
LEASE = 4  # seconds, instead of 60
SECONDS_TO_SETTLE = 150
SECONDS_TO_REACH = 20  # a point; a worker that was just killed must start first
OPEN_RUNS = """
from core.ledger.models import Run
from core.tenancy import unscoped
with unscoped("a storm"):
    print(Run.objects.exclude(due_at=None).count())
"""


@dataclasses.dataclass
class Report:
    """What a storm did, and what it found."""

    seconds: float
    kills: dict[str, int]
    acknowledged: int  # changes that a client was told of
    lost: int  # of them not there afterwards
    doubled: int  # changes that are there more than once, or without having been acknowledged
    undelivered: int  # changes without a delivery
    announced_twice: int  # changes with more than one delivery id
    unended: int  # runs and deliveries that have not come to their end
    repeated: int  # deliveries received again, with the same id: a worker died before it could record them
    audit: str  # what `manage.py verify_audit` or the count of events found wrong


class Storm:
    """One server, one worker, clients, a receiver, and whoever kills."""

    def __init__(self, server: Server, folder: Path, database: Any = None) -> None:
        self.server, self.database = server, database
        self.points = folder / "points"
        self.points.mkdir()
        server.environment |= {"SYNQMGR_FAULT_FOLDER": str(self.points), "SYNQMGR_RUN_LEASE": str(LEASE)}
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.receiver = Receiver(self.ledger)
        self.kills: dict[str, int] = {}
        self.over = threading.Event()
        self.lock = threading.Lock()  # one server is started at a time

    def call(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """Status and answer; status 0 when there is none."""
        headers = {"Authorization": f"Bearer {self.server.token}", "Content-Type": "application/json"}
        headers |= {"Idempotency-Key": key} if key else {}
        data = json.dumps(body).encode() if body is not None else None
        try:
            with urlopen(Request(self.server.url + path, data, headers, method=method), timeout=40) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            return error.code, None
        except (URLError, OSError, ValueError, HTTPException):
            return 0, None

    def subscribe(self) -> None:
        body = {"url": self.receiver.url, "filters": ["account_create"], "secret": {"value": "hush" * 8}}
        status, answer = self.call("POST", "/v1/organization/webhooks", body | {"environment": "prod"})
        assert status == 200, answer
        self.webhook = answer["result"]["id"]

    def client(self) -> None:
        """Creates accounts one after the other; what was not answered is sent again with its key."""
        while not self.over.is_set():
            key = uuid.uuid4().hex
            while True:
                status, answer = self.call("POST", "/v1/accounts", {"fullname": "Storm"}, key)
                if status == 200:
                    self.ledger.acknowledge(key, answer["result"]["account"]["id"])
                    break
                assert status in (0, 409, 429, 503), status
                time.sleep(0.2)

    def killer(self, randomly: random.Random) -> None:
        """Kills something every now and then, at each named point once before any is repeated."""
        first = randomly.sample(POINTS, len(POINTS))
        kinds = [*POINTS, *POINTS, "worker", "worker", "web", "web", "server", *["database"] * bool(self.database)]
        while not self.over.wait(randomly.uniform(0.2, 0.8)):
            kind = first.pop() if first else randomly.choice(kinds)
            if kind in POINTS:
                (self.points / kind).touch()
                until = time.monotonic() + SECONDS_TO_REACH
                while (self.points / kind).exists() and time.monotonic() < until:
                    self.over.wait(0.05)
                if not (self.points / kind).exists():
                    self.count(kind)
            elif kind == "server":
                with self.lock:
                    self.server.kill()
                    self.server.start()
                self.count(kind)
            elif kind == "database":
                self.database.kill()
                self.count(kind)
            elif found := self.find(kind):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(randomly.choice(found), signal.SIGKILL)
                    self.count(kind)

    def count(self, what: str) -> None:
        self.kills[what] = self.kills.get(what, 0) + 1

    def find(self, kind: str) -> list[int]:
        """The processes of a kind: workers of the ledger, or of the web server."""
        assert self.server.process is not None
        parent = self.keeper.pid if kind == "worker" else self.server.process.pid
        return children_of(parent)

    def keep_serving(self) -> None:
        """A web server whose worker died at a named point starts another by itself; one that died whole does not."""
        while not self.over.wait(0.2):
            with self.lock:
                if self.server.process is not None and self.server.process.poll() is not None:
                    self.server.kill()
                    self.server.start()

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        command = [sys.executable, "manage.py", "run_worker", f"--beside={os.getpid()}", "--threads=4"]
        log = (self.server.folder / "worker.log").open("ab")
        self.keeper = subprocess.Popen(command, cwd=ROOT, env=self.server.environment, stdout=log, stderr=log)
        try:
            yield
        finally:
            self.keeper.terminate()
            self.keeper.wait(60)

    def rage(self, kills: int, seed: int) -> Report:
        """Everything at once until so many were killed, then time to settle, then the count."""
        self.server.stop()
        self.server.start()
        self.subscribe()
        started = time.monotonic()
        with self.working():
            threads = [threading.Thread(target=self.client) for _ in range(CLIENTS)]
            others = [threading.Thread(target=self.killer, args=(random.Random(seed),))]
            others.append(threading.Thread(target=self.keep_serving))
            for thread in (*threads, *others):
                thread.start()
            until = time.monotonic() + 30 + 5 * kills
            while sum(self.kills.values()) < kills and time.monotonic() < until:
                time.sleep(0.1)
            self.over.set()
            others[0].join()
            for point in POINTS:
                (self.points / point).unlink(missing_ok=True)
            self.settle(threads)
        return self.judge(time.monotonic() - started)

    def settle(self, clients: list[threading.Thread]) -> None:
        """Waits until every client has its answer and every change its delivery."""
        until = time.monotonic() + SECONDS_TO_SETTLE
        for thread in clients:
            while thread.is_alive() and time.monotonic() < until:
                if self.server.process is None or self.server.process.poll() is not None:
                    self.server.kill()
                    self.server.start()
                thread.join(1)
            assert not thread.is_alive(), "a client never got its answer"
        while time.monotonic() < until:
            delivered = {account for _, account in self.ledger.received}
            if set(self.ledger.acknowledged.values()) <= delivered and not self.pending():
                return
            time.sleep(0.5)

    def pending(self) -> int:
        """How many deliveries are still to be made."""
        path = f"/v1/organization/webhooks/{self.webhook}/deliveries"
        return len(self.everything(path, "&filter=state[eq]pending"))

    def judge(self, seconds: float) -> Report:
        there = [account["id"] for account in self.everything("/v1/accounts")]
        acknowledged = set(self.ledger.acknowledged.values())
        announced: dict[str, set[str]] = {}
        for delivery, account in self.ledger.received:
            announced.setdefault(account, set()).add(delivery)
        return Report(
            seconds=seconds,
            kills=dict(sorted(self.kills.items())),
            acknowledged=len(self.ledger.acknowledged),
            lost=len(acknowledged - set(there)),
            doubled=len(set(there) - acknowledged) + len(self.ledger.acknowledged) - len(acknowledged),
            undelivered=len(acknowledged - announced.keys()),
            announced_twice=sum(len(ids) > 1 for ids in announced.values()),
            unended=self.pending() + int(self.server.manage("shell", "-v0", "-c", OPEN_RUNS).split()[-1]),
            repeated=sum(times - 1 for times in self.ledger.received.values()),
            audit=self.audit(len(acknowledged)),
        )

    def everything(self, path: str, query: str = "") -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            status, answer = self.call("GET", f"{path}?limit=1000&order=id&start_after={after}{query}")
            assert status == 200, status
            found += answer["result"]
            if len(answer["result"]) < 1000:
                return found
            after = found[-1]["id"]

    def audit(self, changes: int) -> str:
        """Empty if the log has one event for each change and its chain holds."""
        events: list[dict[str, Any]] = []
        condition = "&filter=path[eq]/v1/accounts&filter=status[eq]done"
        after = ""
        while True:
            status, answer = self.call("GET", f"/v1/audit/organizations?limit=1000&start_after={after}{condition}")
            assert status == 200, status
            events += answer["result"]
            if len(answer["result"]) < 1000:
                break
            after = answer["result"][-1]["created_at"]
        broken = self.server.try_manage("verify_audit")
        counted = "" if len(events) == changes else f"{len(events)} events of {changes} changes. "
        return counted + broken


def run_storm(folder: Path, kills: int, seed: int, database: Any = None) -> Report:
    """A storm on the database that DATABASE_URL names, SQLite if none."""
    with serving(folder, WORKERS="2") as server:
        return Storm(server, folder, database).rage(kills, seed)
