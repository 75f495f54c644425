"""The service as a user runs it: its own process, its own database, its own keys."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
SECONDS_TO_START = 30
AT_START = os.environ.get("DATABASE_URL", "")
UNREACHED = ",".join(f"{name}=1000000000/60" for name in ("stranger", "open", "token", "organization"))


@dataclasses.dataclass
class Server:
    """A granian process and what it takes to call it. `start` after `stop` or `kill` finds the same data."""

    folder: Path
    environment: dict[str, str]
    port: int
    organization_id: str = ""
    token: str = ""  # of its administrator
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def manage(self, *arguments: str) -> str:
        """What `manage.py` prints for a command."""
        done = self.run_command(*arguments)
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_manage(self, *arguments: str) -> str:
        """What a command complains of; nothing if it succeeds."""
        done = self.run_command(*arguments)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    def run_command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def start(self) -> None:
        """Starts the process and waits until it answers."""
        command = [
            sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port),
            "--workers", self.environment["WORKERS"], "--blocking-threads", "4", "--no-ws",
            "--respawn-failed-workers", "synqmgr.wsgi:application",
        ]  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.log}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether requests are served: by the probe, or while there is none by the refusal of a stranger."""
        return self.status("/livez") == 200 or self.status("/v1/accounts") == 401

    def status(self, path: str) -> int:
        """The status of a GET without a token; 0 when nothing listens."""
        try:
            with urlopen(Request(self.url + path), timeout=5) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0

    def stop(self) -> None:
        """Ends the process as an operator does."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=15)
        self.kill()

    def kill(self) -> None:
        """Ends the process and its workers at once, as a power cut does."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=15)
        self.process = None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def own_database(folder: Path, template: str = "") -> Iterator[str]:
    """The URL of a database that nobody else uses: a file, or one made on the server of DATABASE_URL.

    It is empty, or has what the one at the URL `template` has.
    """
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        file = folder / "synqmgr.sqlite3"
        if template:
            shutil.copyfile(template.removeprefix("sqlite:///"), file)
        yield f"sqlite:///{file}"
        return
    name = f"synqmgr_live_{uuid.uuid4().hex[:12]}"
    base = sql.Identifier(urlsplit(template).path[1:]) if template else sql.SQL("DEFAULT")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), base))
    try:
        yield urlsplit(url)._replace(path="/" + name).geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def environment_of(folder: Path, database: str, **more: str) -> dict[str, str]:
    """What a server of the tests is told, and nothing that whoever runs the tests has set for theirs."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SYNQMGR_", "DJANGO_", "GRANIAN_"))}
    own = {
        "DATABASE_URL": database,
        "SYNQMGR_DATA": str(folder),
        "SYNQMGR_OUTBOUND_ALLOW": "127.0.0.0/8",
        "SYNQMGR_LIMITS": UNREACHED,
        "WORKERS": "1",
    }
    return inherited | own | more


def set_up(server: Server) -> Server:
    """Keys, tables and a first organization, made by the commands of the manual."""
    server.manage("create_keys")
    server.manage("migrate", "--verbosity", "0")
    made = json.loads(server.manage("bootstrap", "--json"))
    server.organization_id, server.token = made["organization_id"], made["token"]
    return server


@functools.cache
def first_server() -> Server:
    """Set up once a process and never started: the others begin with a copy of what it has."""
    kept = contextlib.ExitStack()
    atexit.register(kept.close)
    folder = Path(kept.enter_context(tempfile.TemporaryDirectory(prefix="synqmgr-tests-")))
    return set_up(Server(folder, environment_of(folder, kept.enter_context(own_database(folder))), 0))


@contextlib.contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Server]:
    """A running server with keys, tables and a first organization."""
    is_usual = os.environ.get("DATABASE_URL", "") == AT_START  # else a test has a database server of its own
    template = first_server().environment["DATABASE_URL"] if is_usual else ""
    with own_database(folder, template) as database:
        server = Server(folder, environment_of(folder, database, **environment), free_port())
        if is_usual:
            shutil.copy(first_server().folder / "root.keys", folder)
            server.organization_id, server.token = first_server().organization_id, first_server().token
        else:
            set_up(server)
        server.start()
        try:
            yield server
        finally:
            server.stop()
