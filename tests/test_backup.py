"""The drill: a service is backed up while it works, destroyed, and brought back by one command and its key."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.objects import signed_inline
from tests.server import Server, own_database, serving
from tests.test_commands import manage, ok, send

OTHER_KEY = "1:" + base64.b64encode(bytes(range(32))).decode()
OPEN = """
from core.tenancy import unscoped, scoped, Scope
from credentials.models import Credential
from credentials.services import use_credential
with unscoped("a drill"):
    credentials = list(Credential.objects.order_by("id"))
for credential in credentials:
    with scoped(Scope(credential.organization_id)):
        print(use_credential(credential=credential)["secret"])
"""
POSTGRESQL = os.environ.get("DATABASE_URL", "").startswith("postgres")

pytestmark = pytest.mark.skipif(
    POSTGRESQL and shutil.which("pg_dump") is None, reason="PostgreSQL's client programs are not on this machine"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A service of its own, which these tests stop and destroy."""
    with serving(tmp_path) as started:
        yield started


@pytest.fixture
def elsewhere(tmp_path: Path, server: Server) -> Iterator[dict[str, str]]:
    """Another machine: an empty database, an empty data folder, no key."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with own_database(folder) as database:
        yield server.environment | {"DATABASE_URL": database, "SYNQMGR_DATA": str(folder)}


def fill(server: Server, name: str) -> dict[str, Any]:
    """An account, an integration and its sealed credential: what each address shows."""
    account = ok(server, "POST", "/v1/accounts", {"name": name, "labels": ["gold"]})["account"]
    path = f"/v1/integrations/{account['id']}"
    made = ok(server, "POST", path, {"name": "out", "provider_config": signed_inline(f"hush-{name}")})
    return {f"/v1/accounts/{account['id']}": account, f"{path}/out": made["integration"]}


def backed_up(server: Server, folder: Path) -> Path:
    server.manage("backup", str(folder))
    return folder


def tables_of(environment: dict[str, str]) -> int:
    """How many tables the database has."""
    url = environment["DATABASE_URL"]
    if url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as found:
            return int(found.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()").fetchone()
        assert row is not None
        return int(row[0])


def refused(environment: dict[str, str], *arguments: str, **more: str) -> str:
    """What a command says that does nothing."""
    done = manage(environment, *arguments, **more)
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_drill__backed_up_at_work_and_destroyed__is_all_there_again(
    server: Server, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    shown = fill(server, "first")
    done = threading.Event()
    writes: list[str] = []

    def write() -> None:
        while not done.is_set():
            status, answer = send(server.port, "POST", "/v1/accounts", {"name": f"w-{len(writes)}"}, server.token)
            assert status == 200, answer
            writes.append(answer["result"]["account"]["id"])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(writes) < 5:
            assert writer.is_alive()
        backup = backed_up(server, tmp_path / "backup")
    finally:
        done.set()
        writer.join()
    key = (tmp_path / "root.keys").read_text()
    for path in (backup, *backup.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path == backup else 0o600)
        assert path == backup or key.strip().partition(":")[2].encode() not in path.read_bytes()
    manifest = json.loads((backup / "manifest.json").read_text())
    assert manifest["root_versions"] == [1]
    server.stop()

    # Without the key, and with another one: refused by name, before anything is changed.
    for keys in ({}, {"SYNQMGR_ROOT_KEYS": OTHER_KEY}):
        said = refused(elsewhere, "restore", str(backup), **keys)
        assert "The backup needs root key version 1." in said
        assert "Nothing was changed" in said
        assert tables_of(elsewhere) == 0
    assert "There is no root key" in refused(elsewhere, "restore", str(backup))

    # With it: one command.
    restored = Path(elsewhere["SYNQMGR_DATA"])
    shutil.copy(tmp_path / "root.keys", restored / "root.keys")
    done_ = manage(elsewhere, "restore", str(backup))
    assert done_.returncode == 0, done_.stdout + done_.stderr
    assert "The tables are those of this version." in done_.stdout
    assert "every chain holds" in done_.stdout  # the doctor's word
    assert "failed" not in done_.stdout
    assert manage(elsewhere, "shell", "-v0", "-c", OPEN).stdout == "hush-first\n"
    assert manage(elsewhere, "verify_audit").returncode == 0

    server.environment, server.folder = elsewhere, restored
    server.start()
    for address, content in shown.items():
        assert ok(server, "GET", address) == content
    before = {account["id"] for account in ok(server, "GET", "/v1/accounts?limit=500")}
    assert set(writes[:5]) <= before
    shown |= fill(server, "second")

    # The key is lost: the service does not start, and says why.
    server.stop()
    (restored / "root.keys").unlink()
    said = refused(elsewhere, "serve", PORT=str(server.port))
    assert "needs root key version 1" in said


def test_restore__database_in_use__needs_force_and_then_has_the_backup_alone(server: Server, tmp_path: Path) -> None:
    shown = fill(server, "kept")
    backup = backed_up(server, tmp_path / "backup")
    later = fill(server, "later")
    server.stop()
    assert "The database is not empty" in refused(server.environment, "restore", str(backup))
    server.start()
    assert {ok(server, "GET", address)["id"] for address in later}
    server.stop()
    server.manage("restore", "--force", str(backup))
    server.start()
    assert {address: ok(server, "GET", address) for address in shown} == shown
    assert {send(server.port, "GET", address, token=server.token)[0] for address in later} == {404}
    if POSTGRESQL:
        with psycopg.connect(server.environment["DATABASE_URL"]) as connection:
            rights = connection.execute(
                "SELECT has_function_privilege('public', oid, 'EXECUTE') FROM pg_proc WHERE proname LIKE 'synqmgr_%'"
            ).fetchall()
            assert rights == [(False,)]


def test_restore__backup_that_was_changed__is_refused(
    server: Server, elsewhere: dict[str, str], tmp_path: Path
) -> None:
    backup = backed_up(server, tmp_path / "backup")
    shutil.copy(tmp_path / "root.keys", Path(elsewhere["SYNQMGR_DATA"]) / "root.keys")
    manifest = backup / "manifest.json"
    facts = json.loads(manifest.read_text())
    (file,) = [path for path in backup.iterdir() if path != manifest]
    content = file.read_bytes()

    def says(**changed: Any) -> str:
        manifest.write_text(json.dumps(facts | changed))
        return refused(elsewhere, "restore", str(backup))

    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "its checksum differs" in says()
    file.unlink()
    assert "is missing" in says()
    file.write_bytes(content)
    assert "has format 2" in says(format=2)
    assert "restore it into a database of its own kind" in says(database="other")
    newer = [*facts["migrations"], "core.0099_of_the_future"]
    assert "does not know core.0099_of_the_future" in says(migrations=newer)
    manifest.write_text("{")
    assert "cannot be read" in refused(elsewhere, "restore", str(backup))
    manifest.unlink()
    assert "no complete backup" in refused(elsewhere, "restore", str(backup))
    assert tables_of(elsewhere) == 0


def test_backup__that_cannot_be_good__is_not_made(server: Server, tmp_path: Path) -> None:
    backup = backed_up(server, tmp_path / "backup")
    assert "is not empty" in refused(server.environment, "backup", str(backup))
    assert "No backup was made" in refused(
        server.environment, "backup", str(tmp_path / "other"), SYNQMGR_ROOT_KEYS=OTHER_KEY
    )
    assert not (tmp_path / "other").exists()
    if POSTGRESQL:
        said = refused(server.environment, "backup", str(tmp_path / "other"), PATH="/nonexistent")
        assert "pg_dump is not on the PATH" in said
