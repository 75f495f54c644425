"""The doctor: what is well is said, what is not is named with what to do, and only failures change the status."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django import Settings

from core.columns import new_id
from core.crypto.keyring import create_key_file, reset_keyring
from core.ledger.models import Worker
from core.ledger.services import enqueue
from core.tenancy import scoped
from events.audit.models import AuditEvent
from synqmgr.doctor import database as database_checks
from synqmgr.doctor import surroundings
from tests.api import Api
from tests.server import free_port

Found = dict[str, list[tuple[str, str]]]


@pytest.fixture(autouse=True)
def _keyring() -> Iterator[None]:
    yield
    reset_keyring()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def examine(*arguments: str) -> Found:
    """Name -> state and words of each finding. A failure is an error of the command, and nothing else is."""
    out, has_failed = io.StringIO(), False
    try:
        call_command("doctor", "--json", "--host", "localhost", *arguments, stdout=out)
    except CommandError:
        has_failed = True
    answer: dict[str, Any] = json.loads(out.getvalue())
    found: Found = {}
    for finding in answer["findings"]:
        assert bool(finding["remedy"]) == (finding["state"] != "ok"), finding
        found.setdefault(finding["name"], []).append((finding["state"], f"{finding['found']} {finding['remedy']}"))
    states = {state for each in found.values() for state, _ in each}
    assert has_failed == ("failed" in states) == (not answer["ok"])
    return found


def the(found: Found, name: str) -> tuple[str, str]:
    ((state, said),) = found[name]
    return state, said


def unwell() -> set[str]:
    """What fails in the suite itself: SQLite in memory keeps nothing."""
    return {"durability"} if connection.vendor == "sqlite" else set()


def seen_now() -> None:
    now = timezone.now()
    Worker(host="here", process_id=1, started_at=now, seen_at=now).save()


def test_doctor__everything_well__fails_nothing(nothing_stored: None, acme: Api) -> None:
    seen_now()
    found = examine("--full")
    assert {name for name, each in found.items() for state, _ in each if state == "failed"} == unwell()
    assert list(found)[:3] == ["settings", "disk", "database"]
    assert {"durability", "row security", "clock", "keys", "migrations", "workers", "audit", "outbound"} <= set(found)
    assert {the(found, name)[0] for name in ("database", "clock", "keys", "migrations", "workers", "audit")} == {"ok"}
    assert "1 of 1 logs looked at" in the(found, "audit")[1]
    assert "versions in use: 1; current: 1" in the(found, "keys")[1]


def test_doctor__as_text__has_a_line_a_finding_and_what_to_do(acme: Api) -> None:
    out = io.StringIO()
    with contextlib.suppress(CommandError):
        call_command("doctor", "--host", "localhost", stdout=out)
    lines = out.getvalue().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("warning  workers")]
    assert lines[at + 1].strip().startswith("Start `manage.py run_worker`")


def test_doctor__key_of_another_installation__fails_and_names_it(acme: Api, settings: Settings) -> None:
    settings.ROOT_KEYS = f"1:{base64.b64encode(bytes(32)).decode()}"
    state, said = the(examine(), "keys")
    assert state == "failed"
    assert "Root key version 1 in SYNQMGR_ROOT_KEYS does not open" in said
    settings.ROOT_KEYS, settings.ROOT_KEY_FILE = "", Path("/nonexistent/root.keys")
    reset_keyring()
    assert "There is no root key" in the(examine(), "keys")[1]


def test_doctor__key_file__must_not_be_everybodys(nothing_stored: None, settings: Settings, tmp_path: Path) -> None:
    settings.ROOT_KEYS, settings.ROOT_KEY_FILE = "", tmp_path / "root.keys"
    create_key_file(settings.ROOT_KEY_FILE)
    reset_keyring()
    assert the(examine(), "key file")[0] == "ok"
    settings.ROOT_KEY_FILE.chmod(0o644)
    assert the(examine(), "key file")[0] == "warning"


def test_doctor__rotation_not_finished__is_told(acme: Api, settings: Settings) -> None:
    settings.ROOT_KEYS += f",2:{base64.b64encode(bytes(32)).decode()}"
    reset_keyring()
    state, said = the(examine(), "keys")
    assert (state, "rotate_keys" in said) == ("warning", True)


def test_doctor__pending_migration__fails_and_tables_are_left_alone(db: None) -> None:
    MigrationRecorder.Migration.objects.filter(app="events").delete()
    found = examine()
    assert "to do: events.0001_first_tables" in the(found, "migrations")[1]
    assert the(found, "workers") == ("warning", "not looked at First do what is said above of the database.")


@pytest.mark.parametrize("minutes, working, state", [(0, True, "ok"), (5, True, "warning"), (5, False, "failed")])
def test_doctor__work_that_waits__is_told_by_how_long(acme: Api, minutes: int, working: bool, state: str) -> None:
    with scoped(acme.scope):
        enqueue(kind="example", subject_id=new_id(), at=timezone.now() - dt.timedelta(minutes=minutes))
    if working:
        seen_now()
    found, said = the(examine(), "workers")
    assert (found, "1 run due" in said) == (state, True)


def test_doctor__audit_log_that_was_changed__fails_and_says_where(acme: Api) -> None:
    acme.post("/v1/accounts", {"name": "one"})
    with scoped(acme.scope):
        AuditEvent.objects.filter(sequence=1).update(code="418")
    state, said = the(examine(), "audit")
    assert state == "failed"
    assert f"{acme.id}: event 1" in said


@pytest.mark.parametrize(
    "case",
    [
        ("https://api.example.com", "api.example.com", True, "ok"),
        ("http://api.example.com", "api.example.com", True, "warning"),
        ("https://other.example.com", "api.example.com", True, "warning"),
        ("http://localhost:8000", "localhost", False, "ok"),
        ("api.example.com", "api.example.com", False, "failed"),
    ],
)
def test_doctor__public_url__is_one_the_service_answers_to(
    db: None, settings: Settings, case: tuple[str, str, bool, str]
) -> None:
    url, host, production, state = case
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS, settings.PRODUCTION = url, [host], production
    settings.EXPLICIT = {"SYNQMGR_ROOT_KEYS", "SYNQMGR_ALLOWED_HOSTS"}
    assert the(examine(), "public URL")[0] == state


def test_doctor__unsafe_production__fails_by_setting(db: None, settings: Settings) -> None:
    settings.PRODUCTION, settings.EXPLICIT = True, set()
    said = examine()["settings"]
    assert {state for state, _ in said} == {"failed"}
    assert "SYNQMGR_KEY_FILE" in said[0][1]
    assert "SYNQMGR_ALLOWED_HOSTS" in said[1][1]


def test_doctor__stores_that_do_not_answer__are_told_without_passwords(db: None, settings: Settings) -> None:
    port = free_port()
    settings.REDIS_URL = f"redis://me:hush-hush@127.0.0.1:{port}/0"
    settings.CELERY_BROKER_URL = f"amqp://me:hush-hush@127.0.0.1:{port}//"
    found = examine()
    assert found["limits"][0][0] == "warning"
    assert the(found, "broker")[0] == "failed"
    assert f"127.0.0.1:{port} does not answer" in the(found, "broker")[1]
    assert "hush" not in str(found)


def test_doctor__way_out__names_networks_proxies_and_names_not_found(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OUTBOUND_ALLOW = ["10.0.0.0/8", "0.0.0.0/1"]
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    found = dict(examine("--host", "nowhere.invalid")["outbound"])
    assert set(found) == {"warning"}
    said = " ".join(text for _, text in examine("--host", "nowhere.invalid")["outbound"])
    assert "nowhere.invalid is not found" in said
    assert "allowed although not public: 0.0.0.0/1" in said
    assert "HTTPS_PROXY is set and not used" in said


def test_doctor__data_folder__must_be_there_with_room(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for scarce, too_scarce, state in ((0, 0, "ok"), (1 << 60, 0, "warning"), (1 << 60, 1 << 60, "failed")):
        monkeypatch.setattr(surroundings, "SCARCE", scarce)
        monkeypatch.setattr(surroundings, "TOO_SCARCE", too_scarce)
        assert the(examine(), "disk")[0] == state
    settings.DATA_DIR = tmp_path / "nowhere"
    assert "cannot be written" in the(examine(), "disk")[1]


def test_doctor__clocks_apart__are_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, state in ((-10, "warning"), (10, "warning"), (100, "failed"), (-100, "failed")):
        ahead = dt.timedelta(seconds=seconds)
        monkeypatch.setattr(database_checks, "database_now", lambda ahead=ahead: timezone.now() + ahead)
        found = the(examine(), "clock")
        assert (found[0], f"{abs(seconds)}.0 s" in found[1]) == (state, True)


def test_doctor__database_that_forgets__fails(db: None) -> None:
    if connection.vendor == "sqlite":
        assert "Set journal_mode as" in the(examine(), "durability")[1]
        return
    assert the(examine(), "durability")[0] == "ok"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert "Set synchronous_commit as" in the(examine(), "durability")[1]


def test_doctor__second_lock__is_on_where_there_is_one(db: None, settings: Settings) -> None:
    state, said = the(examine(), "row security")
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        assert (state, said[:2]) == (("ok", "on") if getattr(connection, "is_tenant", False) else (state, said[:2]))
        assert state != "failed"
    else:
        assert (state, "SQLite has none" in said) == ("ok", True)
