"""Rotation: online, resumable, and without a read that fails."""

from __future__ import annotations

import base64
import io
import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from pytest_django import Settings

from core.columns import new_id
from core.crypto import hierarchy
from core.crypto.hashing import forget_keys, keyed_hash
from core.crypto.hierarchy import (
    create_organization_key,
    rewrap_all,
    shred_organization,
)
from core.crypto.keyring import add_root_version, create_key_file, get_keyring, reset_keyring
from core.crypto.models import OrganizationKey, SystemKey, WrappedKey
from core.crypto.sealing import Place, open_sealed, seal
from core.crypto.startup import verify_keys
from core.tenancy import Scope, scoped, unscoped


@pytest.fixture(autouse=True)
def key_file(nothing_stored: None, settings: Settings, tmp_path: Path) -> Path:
    settings.ROOT_KEYS = ""
    settings.ROOT_KEY_FILE = tmp_path / "root.keys"
    create_key_file(settings.ROOT_KEY_FILE)
    reset_keyring()
    return tmp_path / "root.keys"


@pytest.fixture
def threaded_db(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A database that threads can share: SQLite in memory locks whole tables, a file does not."""
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(tmp_path / "copy.sqlite3")])
    memory = connections["default"]
    with monkeypatch.context() as renamed:
        renamed.setitem(connections.databases["default"], "NAME", str(tmp_path / "copy.sqlite3"))
        connections["default"] = connections.create_connection("default")
        yield
        connections["default"].close()
    connections["default"] = memory


def seal_for(count: int) -> list[tuple[Place, bytes]]:
    """Organizations with a sealed value each; the value is the organization's id."""
    places = [Place(new_id(), "account", new_id(), new_id(), 1) for _ in range(count)]
    return [(place, seal_in(place)) for place in places]


def seal_in(place: Place) -> bytes:
    with scoped(Scope(place.organization_id)):
        create_organization_key(organization_id=place.organization_id)
        return seal(place, place.organization_id.encode())


def assert_all_open(sealed: Sequence[tuple[Place, bytes]]) -> None:
    for place, envelope in sealed:
        with scoped(Scope(place.organization_id)):
            assert open_sealed(place, envelope) == place.organization_id.encode()


def organization_keys() -> list[OrganizationKey]:
    with unscoped("a test looks at what there is"):
        return list(OrganizationKey.objects.order_by("id"))


def rotate(*arguments: str) -> str:
    out = io.StringIO()
    call_command("rotate_keys", *arguments, stdout=out)
    return out.getvalue()


def root_versions() -> set[int]:
    rows = itertools.chain(organization_keys(), SystemKey.objects.all())
    return {row.root_version for row in rows}


def interrupt_at(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the rewrap die inside the transaction of its n-th batch."""
    batches = itertools.count(1)
    rewrap = hierarchy._rewrap

    def dying(model: type[WrappedKey], rows: list[WrappedKey]) -> int:
        moved = rewrap(model, rows)
        if next(batches) == batch:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(hierarchy, "_rewrap", dying)


def test_rotate_root__key_file__moves_every_row_and_keeps_every_value(db: None, key_file: Path) -> None:
    sealed, hashed = seal_for(7), keyed_hash("token")
    rotate("--organization", sealed[0][0].organization_id)
    said = rotate("--batch", "3")
    assert "Added root key version 2" in said
    assert "core_organizationkey: 8 moved to version 2, 8 of 8 open." in said
    assert "core_systemkey: 1 moved to version 2, 1 of 1 open." in said
    assert root_versions() == {2}
    assert_all_open(sealed)
    forget_keys()
    assert keyed_hash("token") == hashed
    key_file.write_text(key_file.read_text().splitlines()[1])  # the old root key may go
    reset_keyring()
    verify_keys()
    assert_all_open(sealed)


def test_rotate_root__nothing_stored_yet__still_adds_a_version(db: None) -> None:
    assert "0 moved to version 2, 0 of 0 open" in rotate()
    assert get_keyring().current_version() == 2


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_rotate_root__killed_in_a_batch__resumes_without_another_version(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    sealed = seal_for(10)
    with monkeypatch.context() as dying:
        interrupt_at(batch, dying)
        with pytest.raises(KeyboardInterrupt):
            rotate("--batch", "3")
    assert [row.root_version for row in organization_keys()].count(2) == 3 * (batch - 1)
    assert_all_open(sealed)
    reset_keyring()
    verify_keys()
    said = rotate("--batch", "3")
    assert "Resuming the rotation to root key version 2" in said
    assert f"core_organizationkey: {10 - 3 * (batch - 1)} moved" in said
    assert root_versions() == {2}
    assert get_keyring().current_version() == 2
    assert_all_open(sealed)


def test_rewrap__row_added_behind_by_a_slow_transaction__is_moved_too(
    db: None, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal_for(4)
    late = organization_keys()[0]
    with scoped(Scope(late.organization_id)):
        shred_organization(organization_id=late.organization_id)
    add_root_version(key_file)
    rewrap = hierarchy._rewrap

    def add_late(model: type[WrappedKey], rows: list[WrappedKey]) -> int:
        moved = rewrap(model, rows)
        if len(organization_keys()) == 3:
            late.save(force_insert=True)
        return moved

    monkeypatch.setattr(hierarchy, "_rewrap", add_late)
    assert rewrap_all(batch=2)["core_organizationkey"] == 4
    assert root_versions() == {2}


def test_rewrap__inside_a_transaction__is_refused(transactional_db: None) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        rewrap_all()


def test_rewrap__row_changed_since_it_was_read__is_left_alone(db: None, key_file: Path) -> None:
    sealed = seal_for(3)
    add_root_version(key_file)
    stale = organization_keys()
    assert rewrap_all() == {"core_organizationkey": 3, "core_systemkey": 0}
    with unscoped("as the rewrap is"):
        shred_organization(organization_id=sealed[0][0].organization_id)
        assert hierarchy._rewrap(OrganizationKey, list(stale)) == 0
    assert len(organization_keys()) == 2
    assert_all_open(sealed[1:])
    assert rewrap_all() == {"core_organizationkey": 0, "core_systemkey": 0}


def test_rotate_root__while_others_read_and_write__no_read_fails(threaded_db: None) -> None:
    sealed = seal_for(40)
    done, failures, reads = threading.Event(), [], [0] * 4

    def work(worker: int) -> None:
        try:
            while not done.is_set():
                assert_all_open(sealed[worker::4])
                reads[worker] += 10
                if worker == 0:
                    assert_all_open(seal_for(1))
        except Exception as error:  # noqa: BLE001 - whatever fails, the test shall say so
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        rotate("--batch", "3")
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(reads)
    rewrap_all()
    assert root_versions() == {get_keyring().current_version()}
    assert_all_open(sealed)


def test_rotate_root__keys_in_the_environment__says_what_to_add_and_rewraps(db: None, settings: Settings) -> None:
    first, second = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    settings.ROOT_KEYS = f"1:{first}"
    sealed = seal_for(3)
    said = rotate()
    assert "add version 2 to the variable" in said
    assert "SYNQMGR_ROOT_KEYS" in said
    assert first not in said
    assert root_versions() == {1}
    settings.ROOT_KEYS = f"1:{first},2:{second}"
    assert "core_organizationkey: 3 moved to version 2, 3 of 3 open." in rotate("root")
    settings.ROOT_KEYS = f"2:{second}"
    verify_keys()
    assert_all_open(sealed)


def test_rotate_root__old_key_missing__is_refused_by_name(db: None, key_file: Path) -> None:
    seal_for(1)
    add_root_version(key_file)
    key_file.write_text(key_file.read_text().splitlines()[1])
    reset_keyring()
    with pytest.raises(CommandError, match=rf"version 1 .*missing from the key file {key_file}"):
        rotate()


def test_rotate_organization__one__adds_a_generation_to_it_alone(db: None) -> None:
    sealed = seal_for(2)
    place = sealed[0][0]
    assert "generation 2" in rotate("--organization", place.organization_id)
    assert sorted(row.generation for row in organization_keys()) == [1, 1, 2]
    assert_all_open([*sealed, (place, seal_in(place))])
    assert get_keyring().current_version() == 1


@pytest.mark.parametrize("organization", ["nonsense", "00000000-0000-7000-8000-000000000000"])
def test_rotate_organization__unknown__is_refused(db: None, organization: str) -> None:
    with pytest.raises(CommandError, match="no key"):
        rotate("--organization", organization)
