"""Lists whose pages start after a time that rows share, or after several columns together."""

from __future__ import annotations

import datetime as dt

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Account
from accounts.serializers import AccountSerializer
from accounts.views import AccountFilterSet
from core.errors import InvalidError
from core.instants import format_instant
from core.listing import Cursor, read_list_request
from core.reading import reader_of
from core.tenancy import Narrowing, Scope, scoped
from tests.api import Api
from tests.objects import make_account

BY_TIME = Cursor(("created_at",), ties=True)
BY_TWO = Cursor(("environment", "id"))
ORDERS = {"created_at": "created_at", "fullname": "fullname", "environment": "environment"}
START = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def page(cursor: Cursor, query: str = "") -> tuple[list[str], str]:
    """The ids of one page, and the cursor of the next."""
    asked = read_list_request(QueryDict(query), orders=ORDERS, expands=[], totals=False)
    shown, following = reader_of(AccountSerializer).page_by(cursor, asked, {}, AccountFilterSet)
    return [row["id"] for row in shown], following


def make_at(api: Api, *seconds: int) -> list[str]:
    """Accounts made so many seconds after the start, in the order of their ids."""
    made = sorted(make_account(api)["id"] for _ in seconds)
    with scoped(api.scope):
        for pk, each in zip(made, seconds, strict=True):
            Account.objects.filter(pk=pk).update(created_at=START + dt.timedelta(seconds=each))
    return made


def walk(cursor: Cursor, query: str) -> tuple[list[str], list[int]]:
    """Everything, by the cursor that a full page gives, and the sizes of the pages."""
    seen, sizes, after = [], [], ""
    while True:
        ids, after = page(cursor, f"{query}&start_after={after}")
        seen += ids
        sizes.append(len(ids))
        if not after:
            return seen, sizes


def test_cursor__time_that_rows_share__page_holds_all_of_them(acme: Api) -> None:
    ids = make_at(acme, 0, 1, 1, 1, 2, 3)
    with scoped(acme.scope):
        first, following = page(BY_TIME, "limit=2")
        assert first == ids[:4]
        assert following == f"{format_instant(START + dt.timedelta(seconds=1))},{ids[3]}"
        shared = format_instant(START + dt.timedelta(seconds=1))
        assert page(BY_TIME, f"limit=2&start_after={shared}")[0] == ids[4:]
        assert page(BY_TIME, f"start_after={shared}&order=created_at[desc]")[0] == ids[:1]


@pytest.mark.parametrize("filtered", ["", "&filter=name[ne]x"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(seconds=st.lists(st.integers(0, 3), min_size=1, max_size=9), limit=st.integers(1, 4))
def test_cursor__walked__gives_every_row_once(
    direction: str, filtered: str, seconds: list[int], limit: int, acme: Api
) -> None:
    with scoped(acme.scope):
        Account.objects.all().delete()
    make_at(acme, *seconds)
    with scoped(acme.scope):
        whole, _ = page(BY_TIME, f"limit=1000&order=created_at[{direction}]{filtered}")
        assert len(whole) == len(seconds)
        assert walk(BY_TIME, f"limit={limit}&order=created_at[{direction}]{filtered}")[0] == whole
        times = dict(Account.objects.values_list("id", "created_at"))
        seen: list[str] = []
        after = ""
        while True:  # by the time alone, as a client does that knows of no id
            ids, _ = page(BY_TIME, f"limit={limit}&order=created_at[{direction}]&start_after={after}{filtered}")
            if not ids:
                break
            seen += ids
            after = format_instant(times[ids[-1]])
        assert seen == whole


def test_cursor__several_columns__start_after_takes_them_all(acme: Api) -> None:
    for environment in ("test", "prod", "test", "prod", "prod"):
        make_account(acme, environment=environment)
    with scoped(acme.scope):
        rows = list(Account.objects.order_by("environment", "id").values_list("environment", "id"))
        whole = [pk for _, pk in rows]
        assert page(BY_TWO)[0] == whole
        assert page(BY_TWO, "limit=2") == (whole[:2], ",".join(rows[1]))
        assert walk(BY_TWO, "limit=2") == (whole, [2, 2, 1])
        by_name, _ = page(BY_TWO, "order=fullname[desc]")
        assert walk(BY_TWO, "limit=2&order=fullname[desc]")[0] == by_name
        Account.objects.filter(pk=whole[1]).delete()
        assert page(BY_TWO, f"start_after={','.join(rows[1])}")[0] == whole[2:]
        with pytest.raises(InvalidError, match="not there any more"):
            page(BY_TWO, f"start_after={','.join(rows[1])}&order=fullname")


@pytest.mark.parametrize(
    "cursor, text",
    [
        (BY_TIME, "yesterday"),
        (BY_TIME, "2026-01-31T12:00:00Z,not-an-id"),
        (BY_TIME, "2026-01-31T12:00:00Z,a,b"),
        (BY_TIME, "\x00"),
        (BY_TWO, "prod\x00,0192f0c4-0000-7000-8000-000000000000"),
        (BY_TWO, "prod"),
        (BY_TWO, "prod,x"),
        (BY_TWO, ","),
    ],
)
def test_cursor__malformed__says_what_it_must_be(cursor: Cursor, text: str, in_acme: None) -> None:
    with pytest.raises(InvalidError, match=cursor.wording) as caught:
        page(cursor, f"start_after={text}")
    assert caught.value.at is not None
    assert caught.value.at.id == "start_after"


def test_cursor__narrowed_scope__pages_alike(acme: Api) -> None:
    for environment in ("test", "prod", "test"):
        make_account(acme, environment=environment)
    narrowed = Scope(acme.id, ((Narrowing(environments=frozenset({"test"})),),))
    with scoped(acme.scope):
        Account.objects.update(created_at=START)
        tests = sorted(Account.objects.filter(environment="test").values_list("id", flat=True))
    with scoped(narrowed):
        assert walk(BY_TIME, "limit=1") == (tests, [2, 0])
