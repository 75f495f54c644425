"""Root keys: where they come from, what is refused at the start, and who may make them."""

from __future__ import annotations

import base64
import concurrent.futures
import io
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from pytest_django import Settings

from core.checks import CHECKS, refuse_unsafe_settings
from core.columns import new_id
from core.crypto import startup
from core.crypto.hashing import forget_keys, keyed_hash
from core.crypto.hierarchy import NoKeyError, create_organization_key, organization_key
from core.crypto.keyring import (
    KeyringError,
    LocalKeyring,
    add_root_version,
    create_key_file,
    get_keyring,
    parse_keys,
    reset_keyring,
)
from core.crypto.models import OrganizationKey, SystemKey
from core.crypto.startup import verify_keys
from core.tenancy import Scope, scoped, unscoped

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()


@pytest.fixture(autouse=True)
def key_file(nothing_stored: None, settings: Settings, tmp_path: Path) -> Path:
    settings.ROOT_KEYS = ""
    settings.ROOT_KEY_FILE = tmp_path / "keys" / "root.keys"
    create_key_file(settings.ROOT_KEY_FILE)
    reset_keyring()
    return tmp_path / "keys" / "root.keys"


@pytest.fixture
def organization(db: None) -> str:
    return organization_with_key()


def organization_with_key() -> str:
    organization = new_id()
    with scoped(Scope(organization)):
        create_organization_key(organization_id=organization)
    return organization


@pytest.mark.parametrize(
    "text",
    [
        "", " ", KEY, f"0:{KEY}", f"01:{KEY}", f"-1:{KEY}", f"1:{KEY[:-4]}", f"1:{KEY}AAAA", "1:",
        f"1:{KEY[1:]}", f"1:{KEY},1:{OTHER}", f"1:{KEY};2:{OTHER}", f"one:{KEY}", f"1:*{KEY[1:]}",
        f"9999999999:{KEY}",
    ],
)  # fmt: skip
def test_parse_keys__malformed__is_refused_without_the_key(text: str) -> None:
    with pytest.raises(KeyringError, match="SOMEWHERE") as refused:
        parse_keys(text, "SOMEWHERE")
    assert KEY[:8] not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_parse_keys__commas_or_lines__are_the_same() -> None:
    assert parse_keys(f"1:{KEY},12:{OTHER}", "x") == parse_keys(f"12:{OTHER}\n\n 1:{KEY}\n", "x")


def test_keyring__several_versions__wraps_under_the_highest(settings: Settings) -> None:
    settings.ROOT_KEYS = f"2:{KEY},10:{OTHER}"
    keyring = get_keyring()
    assert keyring.current_version() == keyring.wrap(b"k", b"c").root_version == 10
    assert keyring.source == "SYNQMGR_ROOT_KEYS"


def test_keyring__other_context_or_version__does_not_unwrap() -> None:
    keyring = LocalKeyring(f"1:{KEY},2:{KEY}", Path("unused"))
    wrapped = keyring.wrap(b"secret", b"here")
    assert keyring.unwrap(wrapped, b"here") == b"secret"
    with pytest.raises(KeyringError, match="version 2"):
        keyring.unwrap(wrapped, b"there")
    with pytest.raises(KeyringError, match="version 1"):
        keyring.unwrap(wrapped._replace(root_version=1), b"here")


def test_keyring__version_added_by_another_process__is_read_at_need(key_file: Path) -> None:
    running, rotating = LocalKeyring("", key_file), LocalKeyring("", key_file)
    assert add_root_version(key_file) == 2
    wrapped = rotating.wrap(b"secret", b"c")
    assert wrapped.root_version == 2
    assert running.unwrap(wrapped, b"c") == b"secret"
    with pytest.raises(KeyringError, match=f"version 3 .*{key_file}"):
        running.unwrap(wrapped._replace(root_version=3), b"c")


def test_keyring__file_gone_or_changed_under_a_running_process__makes_no_new_key(key_file: Path) -> None:
    running = LocalKeyring("", key_file)
    old = running.wrap(b"secret", b"c")
    key_file.write_text(f"1:{KEY}\n")
    with pytest.raises(KeyringError, match=r"version 1 .* has changed"):
        running.wrap(b"secret", b"c")
    key_file.unlink()
    with pytest.raises(KeyringError, match="does not exist"):
        running.wrap(b"secret", b"c")
    assert running.unwrap(old, b"c") == b"secret"


def test_create_key_file__new__is_private_and_alone(key_file: Path) -> None:
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["root.keys"]
    assert list(parse_keys(key_file.read_text(), "x")) == [1]


def test_create_key_file__existing__is_left_as_it_is(key_file: Path) -> None:
    before = key_file.read_bytes()
    with pytest.raises(KeyringError, match=f"{key_file} exists"):
        create_key_file(key_file)
    assert key_file.read_bytes() == before
    assert len(list(key_file.parent.iterdir())) == 1


def test_add_root_version__shared_and_linked_file__keeps_mode_link_and_keys(key_file: Path) -> None:
    key_file.chmod(0o640)
    link = key_file.with_name("link")
    link.symlink_to(key_file)
    before = parse_keys(key_file.read_text(), "x")
    assert add_root_version(link) == 2
    assert link.is_symlink()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o640
    after = parse_keys(key_file.read_text(), "x")
    assert after == before | {2: after[2]}
    assert len(list(key_file.parent.iterdir())) == 2


def test_add_root_version__many_at_once__none_is_lost(key_file: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(add_root_version, [key_file] * 24))
    assert sorted(versions) == list(range(2, 26))
    assert list(parse_keys(key_file.read_text(), "x")) == list(range(1, 26))


def test_create_organization_key__twice__keeps_the_first(organization: str) -> None:
    with scoped(Scope(organization)):
        first = organization_key(organization_id=organization)
        create_organization_key(organization_id=organization)
        assert organization_key(organization_id=organization) == first
        with pytest.raises(NoKeyError):
            organization_key(organization_id=organization, generation=2)


def test_organization_key__row_copied_to_another_organization__is_refused(organization: str) -> None:
    other = new_id()
    with unscoped("a thief is bound by no lock"):
        row = OrganizationKey.objects.get()
        OrganizationKey.objects.create(
            organization_id=other, generation=1, root_version=row.root_version, wrapped=bytes(row.wrapped)
        )
        with pytest.raises(KeyringError):
            organization_key(organization_id=other)


def test_keyed_hash__made_in_a_rolled_back_transaction__is_not_kept(transactional_db: None) -> None:
    with transaction.atomic():
        lost = keyed_hash("secret")
        assert keyed_hash("secret") == lost
        transaction.set_rollback(True)
    kept = keyed_hash("secret")
    assert kept != lost
    assert SystemKey.objects.count() == 1
    SystemKey.objects.all().delete()
    assert keyed_hash("secret") == kept  # in memory from here on


def test_keyed_hash__two_makers_at_once__agree(transactional_db: None) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("the test database in memory locks whole tables")

    def hash_once(_: int) -> bytes:
        forget_keys()
        try:
            return keyed_hash("secret")
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(hash_once, range(16)))) == 1


def test_verify_keys__right_keys__passes(organization: str) -> None:
    keyed_hash("secret")
    verify_keys()


def test_verify_keys__no_file__is_refused_and_says_what_to_do(db: None, key_file: Path) -> None:
    key_file.unlink()
    with pytest.raises(ImproperlyConfigured, match=rf"{key_file} does not exist.*Restore.*create_keys"):
        verify_keys()


@pytest.mark.parametrize("content", ["", "nonsense", f"1:{KEY[:20]}", "1:\xff"])
def test_verify_keys__malformed_file__is_refused_by_name(db: None, key_file: Path, content: str) -> None:
    key_file.write_text(content)
    with pytest.raises(ImproperlyConfigured, match=str(key_file)):
        verify_keys()


def test_verify_keys__version_in_use_is_absent__is_refused_by_number(
    organization: str, settings: Settings, key_file: Path
) -> None:
    add_root_version(key_file)
    organization_with_key()
    key_file.write_text(key_file.read_text().splitlines()[1])
    reset_keyring()
    with pytest.raises(ImproperlyConfigured, match=rf"version 1 .*missing from .*{key_file}.*Restore"):
        verify_keys()
    settings.ROOT_KEYS = f"7:{KEY}"
    with pytest.raises(ImproperlyConfigured, match=r"version 1 .*missing from SYNQMGR_ROOT_KEYS"):
        verify_keys()


@pytest.mark.parametrize("table", ["organization", "system"])
def test_verify_keys__wrong_key__is_refused_by_number(db: None, key_file: Path, table: str) -> None:
    if table == "system":
        keyed_hash("secret")
    else:
        organization_with_key()
    key_file.write_text(f"1:{KEY}")
    reset_keyring()
    with pytest.raises(ImproperlyConfigured, match=rf"version 1 in the key file {key_file} does not open"):
        verify_keys()


def test_verify_keys__before_the_tables_are_made__passes(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.introspection, "table_names", lambda: ["django_migrations"])
    assert list(startup.rows_by_version()) == []
    verify_keys()


def test_create_keys__no_file__makes_one_and_says_to_back_it_up(db: None, key_file: Path) -> None:
    key_file.unlink()
    out = io.StringIO()
    call_command("create_keys", stdout=out)
    assert str(key_file) in out.getvalue()
    assert "apart from the database" in out.getvalue()
    verify_keys()
    before = key_file.read_bytes()
    call_command("create_keys", stdout=out)
    assert "Nothing to do" in out.getvalue()
    assert key_file.read_bytes() == before


def test_create_keys__database_already_in_use__is_refused(organization: str, key_file: Path) -> None:
    key_file.unlink()
    with pytest.raises(CommandError, match="needs root key version 1"):
        call_command("create_keys")
    assert not key_file.exists()


def test_checks__production_with_defaults__are_refused(settings: Settings) -> None:
    settings.PRODUCTION, settings.DEBUG, settings.EXPLICIT = True, True, set()
    assert [error.id for check in CHECKS for error in check(None)] == ["core.E001", "core.E002", "core.E003"]
    with pytest.raises(ImproperlyConfigured, match=r"SYNQMGR_KEY_FILE.*SYNQMGR_ALLOWED_HOSTS.*SYNQMGR_DEBUG"):
        refuse_unsafe_settings()


@pytest.mark.parametrize("hosts", [[], ["*"], ["api.example.com", "*"]])
def test_checks__hosts_that_say_nothing__are_refused(settings: Settings, hosts: list[str]) -> None:
    settings.PRODUCTION, settings.DEBUG, settings.ALLOWED_HOSTS = True, False, hosts
    settings.EXPLICIT = {"SYNQMGR_KEY_FILE", "SYNQMGR_ALLOWED_HOSTS"}
    assert [error.id for check in CHECKS for error in check(None)] == ["core.E002"]


@pytest.mark.parametrize("keys", ["SYNQMGR_KEY_FILE", "SYNQMGR_ROOT_KEYS"])
def test_checks__production_told_everything__pass(settings: Settings, keys: str) -> None:
    settings.PRODUCTION, settings.DEBUG, settings.ALLOWED_HOSTS = True, False, ["api.example.com"]
    settings.ROOT_KEYS = f"1:{KEY}" if keys == "SYNQMGR_ROOT_KEYS" else ""
    settings.EXPLICIT = {keys, "SYNQMGR_ALLOWED_HOSTS"}
    refuse_unsafe_settings()


@pytest.mark.parametrize(
    "address, return_to, is_told, wrong",
    [
        ("https://api.example.com", ["https://app.example.com"], True, []),
        ("http://api.example.com", ["https://app.example.com"], True, ["core.E007"]),
        ("http://api.example.com", [], True, ["core.E007"]),
        ("http://localhost:8000", ["https://app.example.com"], False, ["core.E007"]),
        ("http://localhost:8000", [], False, []),  # nobody signs on with it
    ],
)
def test_checks__address_that_is_not_https__is_refused_where_it_is_told(
    settings: Settings, address: str, return_to: list[str], is_told: bool, wrong: list[str]
) -> None:
    settings.PRODUCTION, settings.DEBUG, settings.ALLOWED_HOSTS = True, False, ["api.example.com"]
    settings.PUBLIC_URL, settings.RETURN_TO = address, return_to
    settings.EXPLICIT = {"SYNQMGR_KEY_FILE", "SYNQMGR_ALLOWED_HOSTS", *(["SYNQMGR_PUBLIC_URL"] if is_told else [])}
    assert [error.id for check in CHECKS for error in check(None)] == wrong


def test_checks__development__pass(settings: Settings) -> None:
    settings.PRODUCTION, settings.DEBUG, settings.EXPLICIT = False, True, set()
    refuse_unsafe_settings()
