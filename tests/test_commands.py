"""The commands as an operator runs them: from nothing to a server, what is refused, and what survives a kill."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.objects import signed_inline
from tests.server import ROOT, Server, free_port, own_database, serving

MADE_UP = ("SYNQMGR_", "DJANGO_", "GRANIAN_", "PROMETHEUS_")
TOKEN = re.compile(r"sqm_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}")


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An empty data folder and an empty database."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(MADE_UP)}
    folder = tmp_path / "data"
    with own_database(tmp_path) as database:
        yield inherited | {"DATABASE_URL": database, "SYNQMGR_DATA": str(folder)}


def manage(environment: dict[str, str], *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environment | more, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def bootstrap(environment: dict[str, str], *arguments: str) -> dict[str, Any]:
    done = manage(environment, "bootstrap", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Serving:
    """`manage.py serve` as a process of its own; what it prints goes to a file."""

    def __init__(self, environment: dict[str, str], folder: Path, **more: str) -> None:
        self.port = free_port()
        self.path = folder / f"serve-{self.port}.log"
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT, env=environment | {"PORT": str(self.port), "WORKERS": "1"} | more,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def printed(self) -> str:
        return self.path.read_text(errors="replace")

    def __enter__(self) -> Serving:
        server = Server(self.path.parent, {}, self.port)
        deadline = time.monotonic() + 60
        while not server.status("/livez"):
            assert self.process.poll() is None, self.printed
            assert time.monotonic() < deadline, self.printed
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=15)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(timeout=15)

    def get(self, path: str, token: str = "") -> tuple[int, Any]:
        return send(self.port, "GET", path, token=token)


def send(port: int, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method), timeout=30) as answer:
            content = answer.read()
    except HTTPError as error:
        return error.code, json.loads(error.read())
    return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else content.decode()


# --- bootstrap -----------------------------------------------------------------------------------


def test_bootstrap__again__makes_a_new_token_of_the_same_organization(environment: dict[str, str]) -> None:
    manage(environment, "create_keys")
    manage(environment, "migrate", "--verbosity", "0")
    first, second = bootstrap(environment, "--name", "mine"), bootstrap(environment, "--name", "other")
    assert set(first) == {"organization_id", "token"}
    assert first["organization_id"] == second["organization_id"]
    assert first["token"] != second["token"]
    assert all(TOKEN.fullmatch(each["token"]) for each in (first, second))
    third = bootstrap(environment, "--if-new")
    assert third == {"organization_id": first["organization_id"], "token": None}
    plain = manage(environment, "bootstrap", "--if-new").stdout
    assert first["organization_id"] in plain
    assert not TOKEN.search(plain)


def test_bootstrap__several_at_once__make_one_organization_and_one_token(environment: dict[str, str]) -> None:
    manage(environment, "create_keys")
    manage(environment, "migrate", "--verbosity", "0")
    commands = [
        [sys.executable, "manage.py", "bootstrap", "--json", "--if-new", "--name", name] for name in ("a", "b", "a")
    ]
    begun = [subprocess.Popen(each, cwd=ROOT, env=environment, stdout=subprocess.PIPE) for each in commands]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in begun]
    assert len({answer["organization_id"] for answer in answers}) == 1
    assert sorted(answer["token"] is None for answer in answers) == [False, True, True]


# --- serve ---------------------------------------------------------------------------------------


def test_serve__from_nothing__prints_what_is_needed_once(environment: dict[str, str], tmp_path: Path) -> None:
    with Serving(environment, tmp_path) as serving:
        first = serving.printed
        (token,) = set(TOKEN.findall(first))
        assert f":{serving.port}/v1" in first
        assert "/docs" in first
        assert "[INFO]" not in first
        logged = [json.loads(line) for line in first.splitlines() if line.startswith("{")]
        assert {"event": "Listening at: http://127.0.0.1:" + str(serving.port), "level": "info"}.items() <= next(
            line.items() for line in logged if line.get("logger") == "_granian" and "Listening" in line["event"]
        )
        status, answer = serving.get("/v1/organization", token)
        assert status == 200
        assert answer["result"]["id"] in first
        assert (answer["result"]["name"], answer["result"]["organization_type"]) == ("root", "root")
        assert answer["result"]["refresh_token_id"]
        assert serving.get("/livez") == (200, {"status": "ok"})
        assert serving.get("/readyz") == (200, {"status": "ok"})
        assert serving.get("/v1/organization")[0] == 401
    data = Path(environment["SYNQMGR_DATA"])
    assert {"root.keys", "metrics"} <= {path.name for path in data.iterdir()}
    assert (data / "root.keys").stat().st_mode & 0o777 == 0o600
    with Serving(environment, tmp_path) as serving:
        assert not TOKEN.search(serving.printed)
        assert answer["result"]["id"] in serving.printed
        assert serving.get("/v1/organization", token) == (200, answer)
    assert token not in serving.printed


def test_serve__in_production__prints_no_token_and_says_how_to_get_one(
    environment: dict[str, str], tmp_path: Path
) -> None:
    production = {
        "SYNQMGR_PRODUCTION": "true",
        "SYNQMGR_ROOT_KEYS": KEY,
        "SYNQMGR_ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    with Serving(environment, tmp_path, **production) as serving:
        assert "manage.py bootstrap" in serving.printed
        assert serving.get("/readyz")[0] == 200
        made = bootstrap(environment | production)
        assert serving.get("/v1/organization", made["token"])[0] == 200
        assert not TOKEN.search(serving.printed)


def test_serve__metrics__are_for_this_machine_or_a_token(environment: dict[str, str], tmp_path: Path) -> None:
    with Serving(environment, tmp_path, WORKERS="2") as serving:
        status, text = serving.get("/metrics")
        assert status == 200
        assert "synqmgr_http_requests_total" in text
        proxied = Request(f"http://127.0.0.1:{serving.port}/metrics", headers={"X-Forwarded-For": "203.0.113.9"})
        with urlopen(proxied) as answer:
            assert answer.status == 200  # no proxy is trusted: the header is a stranger's word
    with Serving(environment, tmp_path, SYNQMGR_TRUSTED_PROXIES="1") as serving:
        for address, expected in (("203.0.113.9", 403), ("127.0.0.1", 200), ("127.0.0.1, 203.0.113.9", 403)):
            proxied = Request(f"http://127.0.0.1:{serving.port}/metrics", headers={"X-Forwarded-For": address})
            assert status_of(proxied) == expected
    with Serving(environment, tmp_path, SYNQMGR_METRICS_TOKEN="let-me-in") as serving:
        for token, expected in (("", 403), ("let-me-i", 403), ("let-me-in", 200), ("let-me-in ", 200)):
            assert serving.get("/metrics", token)[0] == expected, token


def status_of(request: Request) -> int:
    try:
        with urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


KEY = "1:" + base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    "settings, said",
    [
        ({}, "SYNQMGR_KEY_FILE"),
        ({"SYNQMGR_ROOT_KEYS": KEY}, "SYNQMGR_ALLOWED_HOSTS"),
        ({"SYNQMGR_ROOT_KEYS": KEY, "SYNQMGR_ALLOWED_HOSTS": "*"}, "SYNQMGR_ALLOWED_HOSTS"),
        ({"SYNQMGR_ROOT_KEYS": KEY, "SYNQMGR_ALLOWED_HOSTS": ""}, "SYNQMGR_ALLOWED_HOSTS"),
        ({"SYNQMGR_ROOT_KEYS": "", "SYNQMGR_ALLOWED_HOSTS": "a.example"}, "SYNQMGR_KEY_FILE"),
        ({"SYNQMGR_ROOT_KEYS": KEY, "SYNQMGR_ALLOWED_HOSTS": "a.example", "SYNQMGR_DEBUG": "1"}, "SYNQMGR_DEBUG"),
        ({"SYNQMGR_KEY_FILE": "/nonexistent/keys", "SYNQMGR_ALLOWED_HOSTS": "a.example"}, "/nonexistent/keys"),
    ],
)
def test_serve__production_with_unsafe_settings__is_refused_and_says_which(
    environment: dict[str, str], settings: dict[str, str], said: str
) -> None:
    done = manage(environment, "serve", SYNQMGR_PRODUCTION="true", PORT=str(free_port()), **settings)
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
    assert KEY[2:] not in done.stdout + done.stderr
    assert not (Path(environment["SYNQMGR_DATA"]) / "root.keys").exists()


def test_serve__wrong_or_missing_key__is_refused_by_name_and_nothing_is_made(environment: dict[str, str]) -> None:
    manage(environment, "create_keys")
    manage(environment, "migrate", "--verbosity", "0")
    bootstrap(environment)
    file = Path(environment["SYNQMGR_DATA"]) / "root.keys"
    good = file.read_text()
    port = {"PORT": str(free_port())}

    file.write_text(KEY + "\n")
    done = manage(environment, "serve", **port)
    assert done.returncode != 0
    assert "Root key version 1" in done.stderr
    assert str(file) in done.stderr
    file.write_text(good.replace("1:", "2:", 1))
    assert "Root key version 1 is in use but missing" in manage(environment, "serve", **port).stderr
    file.unlink()
    done = manage(environment, "serve", **port)
    assert done.returncode != 0
    assert "needs root key version 1" in done.stderr
    assert not file.exists()
    for text in (good, KEY):
        assert text.strip().partition(":")[2] not in done.stdout + done.stderr


# --- ready ---------------------------------------------------------------------------------------


def test_readyz__pending_migration__is_503_while_livez_is_200(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert (server.status("/livez"), server.status("/readyz")) == (200, 200)
        server.manage("migrate", "integrations", "zero", "--verbosity", "0")
        assert (server.status("/livez"), server.status("/readyz")) == (200, 503)
        server.manage("migrate", "--verbosity", "0")
        assert server.status("/readyz") == 200
        for method in ("POST", "DELETE"):
            assert send(server.port, method, "/readyz", {})[0] in (200, 405)


# --- durability ----------------------------------------------------------------------------------


def test_server__killed_right_after_an_answer__has_what_it_answered(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        acknowledged: dict[str, Any] = {}
        for round_ in range(3):
            account = ok(server, "POST", "/v1/accounts", {"name": f"a-{round_}", "labels": ["gold"]})["account"]
            acknowledged[f"/v1/accounts/{account['id']}"] = account
            path = f"/v1/integrations/{account['id']}"
            made = ok(server, "POST", path, {"name": "out", "provider_config": signed_inline()})
            acknowledged[f"{path}/out"] = made["integration"]
            credential = made["credentials_created"][0]
            acknowledged[f"/v1/credentials/lookup/{credential['id']}"] = credential
            changed = ok(server, "PUT", f"{path}/out", {**made["integration"], "fullname": f"Changed {round_}"})
            server.kill()
            acknowledged[f"{path}/out"] = changed
            server.start()
            for address, shown in acknowledged.items():
                assert ok(server, "GET", address) == shown
            found = ok(server, "GET", "/v1/accounts?filter=labels[eq]gold")
            assert len(found) == round_ + 1
        assert send(server.port, "DELETE", f"/v1/accounts/{account['id']}", token=server.token)[0] == 204
        server.kill()
        server.start()
        assert send(server.port, "GET", f"/v1/accounts/{account['id']}", token=server.token)[0] == 404


def ok(server: Server, method: str, path: str, body: Any = None) -> Any:
    status, answer = send(server.port, method, path, body, server.token)
    assert status == 200, answer
    return answer["result"]


# --- a worker of its own -------------------------------------------------------------------------


def test_run_worker__on_its_own__prunes_tells_its_numbers_and_stops_when_told(environment: dict[str, str]) -> None:
    manage(environment, "create_keys")
    manage(environment, "migrate", "--verbosity", "0")
    port = free_port()
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "run_worker"],
        cwd=ROOT, env=environment | {"SYNQMGR_WORKER_METRICS": f"127.0.0.1:{port}"}, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        deadline, text = time.monotonic() + 60, ""
        while 'synqmgr_pruned_rows_total{name="sign_ins"}' not in text:
            assert worker.poll() is None
            assert time.monotonic() < deadline, text
            with contextlib.suppress(OSError):
                text = str(send(port, "GET", "/metrics")[1])
            time.sleep(0.1)
        assert "1 seen in the last minute" in manage(environment, "doctor").stdout
    finally:
        worker.terminate()
        _, said = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert said.count(b'"event":"pruned"') >= 5
    assert b"worker_stopped" in said
    assert "cannot be listened at" in manage(environment, "run_worker", SYNQMGR_WORKER_METRICS="nowhere").stderr
