"""The servers under load: granian with one worker each, whole processes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.databases import ROOT, Filled

TARGETS = {
    "limit": "bench.limit:application",
    "service": "synqmgr.wsgi:application",
    "stock": "bench.stock:application",
}


class Server:
    """One running server."""

    def __init__(self, name: str, data: Filled, threads: int) -> None:
        self.name, self.data, self.port = name, data, _free_port()
        command = [
            *(sys.executable, "-m", "granian", TARGETS[name], "--interface", "wsgi", "--no-ws"),
            *("--workers", "1", "--blocking-threads", str(threads), "--port", str(self.port), "--log-level", "error"),
        ]
        self.kept: http.client.HTTPConnection | None = None
        self.log = (data.folder / f"{name}.log").open("wb")
        self.process = subprocess.Popen(command, cwd=ROOT, env=data.environment, stderr=self.log, stdout=self.log)

    def get(self, path: str) -> dict[str, Any]:
        """One answer, waiting for the server to be there."""
        address = f"http://127.0.0.1:{self.port}{path}"
        asked = urllib.request.Request(address, headers={"Authorization": f"Bearer {self.data.token}"})
        while self.process.poll() is None:
            try:
                with urllib.request.urlopen(asked, timeout=60) as answer:
                    content: dict[str, Any] = json.load(answer)
                    return content
            except urllib.error.HTTPError:
                raise
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer: see {self.log.name}")

    def ask(self, path: str) -> bytes:
        """One answer's bytes, over a connection that is kept."""
        if self.kept is None:
            self.kept = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.kept.request("GET", path, headers={"Authorization": f"Bearer {self.data.token}"})
        answer = self.kept.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{self.name} answers {answer.status} to {path}")
        return content

    def load(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Runs the load in a process of its own."""
        plan = {"port": self.port, "token": self.data.token, **plan}
        before = self.cpu()
        done = subprocess.run(
            [sys.executable, "-m", "bench.load"],
            input=json.dumps(plan),
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            check=True,
        )
        measured: dict[str, Any] = json.loads(done.stdout)
        measured["cpu"] = (self.cpu() - before) / max(measured["answered"], 1) * 1e6
        if measured["failed"] or not measured["rate"]:
            raise RuntimeError(f"{self.name}: {measured['failed']} requests failed of {plan['method']} {plan['path']}")
        return measured

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(child) for child in children.split()]

    def memory(self) -> float:
        """Resident memory of the worker, in MiB."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.workers()]
        sizes = [int(line.split()[1]) for text in texts for line in text.splitlines() if line.startswith("VmRSS:")]
        return max(sizes) / 1024

    def cpu(self) -> float:
        """Seconds of processor time that the worker and its database sessions have taken."""
        ticks = 0
        for pid in (*self.workers(), *self.data.sessions()):
            with contextlib.suppress(FileNotFoundError):  # a session ended, or the database is on another machine
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.kill(self.process.pid, signal.SIGKILL)
        self.log.close()


@contextlib.contextmanager
def running(databases: dict[str, Filled], threads: int) -> Iterator[dict[str, Server]]:
    """A server for each name, stopped at the end whatever happens."""
    servers: dict[str, Server] = {}
    try:
        for name, data in databases.items():
            servers[name] = Server(name, data, threads)
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
