"""What a request costs in queries: the same however many rows there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.api import Api
from tests.contract.faces import Face, having
from tests.contract.made import example_of, make, post

AUTHENTICATION, READING = 1, 1
# What webhooks are told of; foreign keys checked (2, on PostgreSQL); the account's environment; the end of the audit
# log's chain, the event, the new end.
NEWS = 7


def queries(request: Callable[[], Any]) -> list[str]:
    """The statements of a request that succeeds, without the savepoints that the suite adds."""
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = request()
    assert answer.status_code == 200, answer.content
    statements = [query["sql"] for query in captured.captured_queries]
    return [sql for sql in statements if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK TO"))]


def below_owner(face: Face, verb: str) -> int:
    """Finding the object that the address names as the owner is one query more."""
    own = (face.viewset.lookup_url_kwarg,)
    return sum(name not in own for name in face.operation(verb).parameters)


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__any_size__takes_two_queries(face: Face, acme: Api) -> None:
    url = make(face, acme).url("list")
    most = AUTHENTICATION + READING + below_owner(face, "list")
    acme.get(url)
    for _ in range(3):
        counted = queries(lambda: acme.get(url, query={"limit": 1000}))
        assert len(counted) <= most, counted
        for _ in range(5):
            make(face, acme)
    filtered = queries(lambda: acme.get(url, query={"filter": "created_at[gt]2000-01-01", "order": "id[desc]"}))
    assert len(filtered) <= most, filtered


@pytest.mark.parametrize("face", having("get"), ids=str)
def test_get__takes_two_queries(face: Face, acme: Api) -> None:
    made = make(face, acme)
    counted = queries(lambda: acme.get(made.reading_url))
    assert len(counted) <= AUTHENTICATION + READING + below_owner(face, "get"), counted


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__takes_a_fixed_number_of_queries(face: Face, acme: Api) -> None:
    make(face, acme)  # the organization's first event also begins its chain
    example = example_of(face, acme)
    counted = queries(lambda: post(face, acme, example))
    assert len(counted) <= example.statements + NEWS + below_owner(face, "create"), counted
