"""How many webhook deliveries one worker makes a second, to a receiver that answers at once, beside a bare loop of the
same HTTP client; and how long after the commit of a change its delivery arrives. Prints JSON."""

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
from django.utils import timezone  # noqa: E402

from bench.databases import ROOT  # noqa: E402
from core.columns import new_id  # noqa: E402
from core.outbound import OutboundRequest, send  # noqa: E402
from core.tenancy import Scope, scoped  # noqa: E402
from events.deliveries.services import About, queue_delivery  # noqa: E402
from events.webhooks.signatures import signature_headers  # noqa: E402

COUNT, SINGLE, PATIENCE = 1000, 30, 180.0
BODY = b'{"event":"all","nonce":"01a201b8-1879-7f10-9c7e-3c2a0d6c2b11"}'
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


def queue(token: str, organization_id: str, url: str) -> str:
    """Makes a webhook, and deliveries that are due. Returns the webhook's id."""
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
    body = {"filters": ["all"], "url": url, "secret": {"value": "bench"}}
    made = client.post("/v1/organization/webhooks", data=body, content_type="application/json").json()["result"]
    with scoped(Scope(organization_id)), transaction.atomic():
        for _ in range(COUNT):
            queue_delivery(webhook_id=made["id"], payload={"event": "all"}, about=About())
    return str(made["id"])


def queue_one(webhook_id: str, organization_id: str) -> None:
    with scoped(Scope(organization_id)), transaction.atomic():
        queue_delivery(webhook_id=webhook_id, payload={"event": "all"}, about=About())


def wait_for(times: Times, count: float) -> None:
    give_up = time.monotonic() + PATIENCE
    while times[0] < count:
        if time.monotonic() > give_up:
            raise RuntimeError(f"{times[0]:.0f} of {count:.0f} requests arrived in {PATIENCE:.0f} s")
        time.sleep(0.001)


def rate_of(times: Times, count: int) -> float:
    """Requests a second, between the first to arrive and the last."""
    wait_for(times, count)
    taken = (count - 1) / (times[2] - times[1])
    times[:] = [0.0, 0.0, 0.0]
    return float(taken)


def send_bare(url: str) -> None:
    """The client alone, with a request of the same size."""
    headers = signature_headers(message_id=new_id(), at=timezone.now(), body=BODY, secrets=["bench"])
    for _ in range(COUNT):
        send(OutboundRequest("POST", url, {**headers, "Content-Type": "application/json"}, body=BODY))


def delays(webhook_id: str, organization_id: str, times: Times) -> list[float]:
    """Milliseconds from the commit of a single change to the arrival of its delivery, while nothing else is due."""
    taken = []
    for number in range(SINGLE):
        time.sleep(0.1 + 0.2 * number / SINGLE)
        queue_one(webhook_id, organization_id)
        committed = time.time()
        wait_for(times, number + 1)
        taken.append(max(0.0, times[2] - committed) * 1000)
    return sorted(taken)


def main() -> None:
    given = json.load(sys.stdin)
    times = multiprocessing.Array("d", 3)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server, closing(connection):
        receiver = multiprocessing.get_context("fork").Process(target=receive, args=(server, times))
        receiver.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        send_bare(url)
        bare = rate_of(times, COUNT)
        webhook_id = queue(given["token"], given["organization_id"], url)
        worker = subprocess.Popen([sys.executable, "manage.py", "run_worker"], cwd=ROOT, stdout=sys.stderr)
        try:
            rate = rate_of(times, COUNT)
            after = delays(webhook_id, given["organization_id"], times)
        finally:
            worker.terminate()
            worker.wait()
            receiver.terminate()
    print(json.dumps({"rate": rate, "bare": bare, "median": after[SINGLE // 2], "worst": after[-1]}))


if __name__ == "__main__":
    main()
