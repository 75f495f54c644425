"""How many webhook deliveries one worker makes a second, to a receiver that answers at once. Prints a number."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import Any

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402

from bench.databases import ROOT  # noqa: E402
from core.tenancy import Scope, scoped  # noqa: E402
from events.deliveries.services import About, queue_delivery  # noqa: E402

COUNT, PATIENCE = 1000, 180.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Times = Any  # a shared array: how many have arrived, when the first did, when the last


def receive(server: socket.socket, times: Times) -> None:
    """Answers every connection at once and notes the times, in a process of its own."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    while True:
        threading.Thread(target=_answer, args=(server.accept()[0], times)).start()


def _answer(accepted: socket.socket, times: Times) -> None:
    with accepted:
        accepted.recv(65536)
        accepted.sendall(ANSWER)
    with times.get_lock():
        times[1] = times[1] or time.time()
        times[2] = time.time()
        times[0] += 1


def queue(token: str, organization_id: str, url: str) -> None:
    """Makes a webhook, and deliveries that are due."""
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
    body = {"filters": ["all"], "url": url, "secret": {"value": "bench"}}
    made = client.post("/v1/organization/webhooks", data=body, content_type="application/json").json()["result"]
    with scoped(Scope(organization_id)), transaction.atomic():
        for _ in range(COUNT):
            queue_delivery(webhook_id=made["id"], payload={"event": "all"}, about=About())


def main() -> None:
    given = json.load(sys.stdin)
    times = multiprocessing.Array("d", 3)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        receiver = multiprocessing.get_context("fork").Process(target=receive, args=(server, times))
        receiver.start()
        with closing(connection):
            queue(given["token"], given["organization_id"], f"http://127.0.0.1:{server.getsockname()[1]}/")
        worker = subprocess.Popen([sys.executable, "manage.py", "run_worker"], cwd=ROOT, stdout=sys.stderr)
        try:
            give_up = time.monotonic() + PATIENCE
            while times[0] < COUNT:
                if time.monotonic() > give_up:
                    raise RuntimeError(f"{times[0]:.0f} of {COUNT} deliveries arrived in {PATIENCE:.0f} s")
                time.sleep(0.02)
        finally:
            worker.terminate()
            worker.wait()
            receiver.terminate()
    print(f"{(COUNT - 1) / (times[2] - times[1]):.1f}")


if __name__ == "__main__":
    main()
