"""Settings that cannot be used, as whoever starts the service meets them: one line, no traceback, no start."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import ROOT, free_port, serving

MALFORMED = [
    {"DATABASE_URL": "mysql://u:hush@h/d"},
    {"PORT": "99999"},
    {"SYNQMGR_LIMITS": "token=lots"},
    {"SYNQMGR_RETENTION": "runs=forever"},
    {"SYNQMGR_OUTBOUND_ALLOW": "10.0.0.1/8"},
    {"SYNQMGR_REDIS_URL": "redis://me:hush@host:port/0"},
]
FORWARDED = [
    ("X-Forwarded-For", [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "203.0.113.9")], 403),
    ("X-Forwarded-For", [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "127.0.0.1")], 200),
    ("X-Forwarded-For", [("X-Forwarded-For", "127.0.0.1 \xff, 127.0.0.1")], 403),
    ("X-Forwarded-For", [("X-Forwarded-For", "")], 403),
    ("X-Forwarded-For", [], 200),  # from the peer, past the proxy
    ("Clientaddress", [("Clientaddress", "203.0.113.9"), ("Client_address", "127.0.0.1")], 403),
    ("Clientaddress", [("Client-Address", "127.0.0.1"), ("clientaddress", "203.0.113.9")], 403),
    ("Clientaddress", [("Clientaddress", "203.0.113.9"), ("X_Forwarded_For", "127.0.0.1")], 403),
]


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SYNQMGR_", "DJANGO_", "GRANIAN_"))}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, env=inherited | environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("command", ["serve", "run_worker", "migrate"])
@pytest.mark.parametrize("environment", MALFORMED, ids=lambda environment: next(iter(environment)))
def test_manage__malformed__says_so_in_one_line(environment: dict[str, str], command: str, tmp_path: Path) -> None:
    done = run({"SYNQMGR_DATA": str(tmp_path)} | environment, "manage.py", command)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Refusing to start: {next(iter(environment))}")
    assert "hush" not in line


def test_server__malformed__says_so_and_ends(tmp_path: Path) -> None:
    server = ["-m", "granian", "--interface", "wsgi", "--port", str(free_port()), "synqmgr.wsgi:application"]
    done = run({"SYNQMGR_DATA": str(tmp_path), "SYNQMGR_TRUSTED_PROXIES": "x"}, *server)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "Refusing to start: SYNQMGR_TRUSTED_PROXIES: 'x' cannot be used." in said
    assert "Traceback" not in said


def test_empty__of_every_variable__is_not_set(tmp_path: Path) -> None:
    names = ("DATABASE_URL", "PORT", "WORKERS", "SYNQMGR_TRUSTED_PROXIES", "SYNQMGR_LOG_LEVEL", "SYNQMGR_DEBUG")
    environment = {"SYNQMGR_DATA": str(tmp_path)} | dict.fromkeys(names, "")
    done = run(environment, "manage.py", "migrate", "--verbosity", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "synqmgr.sqlite3").exists()


def test_client__behind_a_trusted_proxy__is_whom_the_proxy_names(tmp_path: Path) -> None:
    for header in ("X-Forwarded-For", "Clientaddress"):
        folder = tmp_path / header
        folder.mkdir()
        with serving(folder, SYNQMGR_TRUSTED_PROXIES="1", SYNQMGR_ADDRESS_HEADER=header) as server:
            for of, lines, expected in FORWARDED:
                if of == header:
                    assert metrics_status(server.port, lines) == expected, lines


def metrics_status(port: int, lines: list[tuple[str, str]]) -> int:
    """The numbers are for this machine alone, so they tell whether the client is taken for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("GET", "/metrics")
    for name, value in lines:
        connection.putheader(name, value)
    connection.endheaders()
    status = connection.getresponse().status
    connection.close()
    return status
