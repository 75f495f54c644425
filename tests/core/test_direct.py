"""Statements past the driver's cursor, on PostgreSQL: what they take, give and raise, and what the server keeps."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, OperationalError, connection, transaction

from accounts.models import AccountLabel
from core.columns import new_id
from core.models import SystemKey, insert_rows
from core.postgresql import direct
from core.postgresql.direct import Direct
from core.prepared import Statement
from tests.api import Api

VALUES = {
    "text": "text",
    "empty": "",
    "none": None,
    "number": 7,
    "large": 2**40,
    "truth": True,
    "bytes": b"\x00\xff",
    "instant": dt.datetime(2026, 1, 2, 3, 4, 5, 6, dt.UTC),
    "id": "01900000-0000-7000-8000-000000000001",
}


@pytest.fixture(autouse=True)
def _on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's driver has no cursor that costs")


@pytest.fixture
def driver(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, as the wrapper has them."""
    with psycopg.connect(_address(), autocommit=True) as opened:
        yield opened


def _address() -> str:
    given = connection.get_connection_params()
    parts = {name: given[name] for name in ("dbname", "user", "password", "host", "port") if given.get(name)}
    return psycopg.conninfo.make_conninfo(**parts)


def kept(driver: psycopg.Connection[Any]) -> int:
    """How many statements the server keeps for a connection."""
    row = driver.execute("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'synqmgr%'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("value", VALUES.values(), ids=list(VALUES))
def test_rows__values__come_back_as_they_went(driver: psycopg.Connection[Any], value: object) -> None:
    kind = {int: "bigint", bool: "boolean", bytes: "bytea", dt.datetime: "timestamptz"}.get(type(value), "text")
    for _ in range(direct.OFTEN + 2):
        assert Direct(driver).rows(f"SELECT $1::{kind}, 1".encode(), [value]) == [(value, 1)]


def test_rows__run_often__are_planned_once(driver: psycopg.Connection[Any]) -> None:
    ran = Direct(driver)
    for number in range(direct.OFTEN):
        assert ran.rows(b"SELECT $1::int", [number]) == [(number,)]
    assert kept(driver) == 0
    for number in range(20):
        assert ran.rows(b"SELECT $1::int", [number]) == [(number,)]
    assert kept(driver) == 1


def test_rows__of_many_statements__keep_the_latest(driver: psycopg.Connection[Any], monkeypatch: Any) -> None:
    monkeypatch.setattr(direct, "MOST", 3)
    ran = Direct(driver)
    for _ in range(3):
        for number in range(5):
            for _ in range(direct.OFTEN + 1):
                assert ran.rows(f"SELECT {number}, $1::text".encode(), ["x"]) == [(number, "x")]
    assert kept(driver) == 3


def test_rows__of_what_gives_none__are_none(driver: psycopg.Connection[Any]) -> None:
    ran = Direct(driver)
    ran.command(b"BEGIN")
    ran.command(b"CREATE TEMPORARY TABLE kept_here (n int) ON COMMIT DROP")
    assert ran.rows(b"INSERT INTO kept_here VALUES ($1)", [1]) == []
    assert ran.rows(b"UPDATE kept_here SET n = $1 RETURNING n", [2]) == [(2,)]
    ran.command(b"ROLLBACK")


@pytest.mark.parametrize("sql", [b"SELECT 1 / $1::int", b"SELECT nothing, $1::int"])
def test_rows__refused_by_the_database__raise_what_a_cursor_raises(driver: psycopg.Connection[Any], sql: bytes) -> None:
    ran = Direct(driver)
    with pytest.raises(psycopg.Error) as by_cursor:
        driver.execute(sql.replace(b"$1", b"%s"), [0])
    for _ in range(direct.OFTEN + 2):  # as often as it takes to be planned
        with pytest.raises(type(by_cursor.value)) as raised:
            ran.rows(sql, [0])
        assert raised.value.sqlstate == by_cursor.value.sqlstate


def end_session(pid: int) -> None:
    with psycopg.connect(_address(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_rows__of_a_lost_connection__raise_that_it_is_lost(driver: psycopg.Connection[Any]) -> None:
    ran = Direct(driver)
    end_session(driver.info.backend_pid)
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            ran.rows(b"SELECT 1", [])


def test_statement__that_breaks_a_constraint__raises_djangos_error(acme: Api, in_acme: None) -> None:
    row = (acme.scope.organization_id, new_id(), "of nobody")
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_rows(AccountLabel, ("organization_id", "account_id", "label"), [row])
    assert Statement("SELECT %s::int", 1).run([5]) == [(5,)]


def test_statement__on_a_connection_that_was_lost__raises_djangos_error(transactional_db: None) -> None:
    connection.ensure_connection()
    end_session(connection.connection.info.backend_pid)
    for _ in range(2):
        with pytest.raises(OperationalError):
            Statement("SELECT 1", 0).run([])
    connection.close()


def test_rows__prepared_and_taken_away__are_prepared_anew(driver: psycopg.Connection[Any]) -> None:
    ran = Direct(driver)
    for number in range(direct.OFTEN * 4):
        if number == direct.OFTEN * 2:
            driver.execute("DEALLOCATE ALL")
        assert ran.rows(b"SELECT $1::int", [number]) == [(number,)]


def test_rows__of_a_table_that_has_changed__have_its_new_type(driver: psycopg.Connection[Any]) -> None:
    ran = Direct(driver)
    driver.execute("CREATE TEMPORARY TABLE changing (n int)")
    driver.execute("INSERT INTO changing VALUES (7)")
    for _ in range(direct.OFTEN + 1):
        assert ran.rows(b"SELECT n FROM changing", []) == [(7,)]
    driver.execute("ALTER TABLE changing ALTER n TYPE text")
    assert ran.rows(b"SELECT n FROM changing", []) == [("7",)]
    assert kept(driver) == 0


@pytest.mark.parametrize("savepoint", [False, True])
def test_statement__after_the_orm_rolled_back__is_still_there(transactional_db: None, savepoint: bool) -> None:
    ask = Statement("SELECT %s::int", 1)
    for number in range(direct.OFTEN * 2):
        assert ask.run([number]) == [(number,)]
        assert not SystemKey.objects.filter(purpose="none").exists()
    with contextlib.ExitStack() as stack:
        if savepoint:
            stack.enter_context(transaction.atomic())
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            SystemKey.objects.filter(purpose="none").delete()
            raise ZeroDivisionError
        assert SystemKey.objects.filter(purpose="none").first() is None
        assert ask.run([1]) == [(1,)]


def test_iterator__within_a_transaction__ends_with_it(transactional_db: None) -> None:
    with transaction.atomic():
        list(SystemKey.objects.select_for_update().iterator())  # which a cursor that outlives it cannot


def test_autocommit__turned_off__is_refused(transactional_db: None) -> None:
    with pytest.raises(NotSupportedError, match="atomic"):
        transaction.set_autocommit(False)
