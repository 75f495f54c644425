"""Lists page by page through the published client, as its callers do: `start_after` is the last object's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.client.published import Published, new_name

COUNT = 11


@pytest.fixture
def label(published: Published) -> str:
    """The label of accounts whose display names tie."""
    label = new_name("paged")
    for number in range(COUNT):
        environment = "test" if number % 2 else "prod"
        published.accounts.create(
            name=f"{label}-{number:02}", fullname=f"Full {number % 3}", labels=[label], environment=environment
        )
    return label


def pages(list_: Callable[..., Any], limit: int, **query: Any) -> list[Any]:
    """Every object of a list, taken a page at a time until a page is not full."""
    found: list[Any] = []
    while True:
        page = list_(limit=limit, start_after=found[-1].name if found else None, **query).result
        assert len(page) <= limit
        found += page
        if len(page) < limit:
            return found


@pytest.mark.parametrize("limit", [1, 4, 11])
@pytest.mark.parametrize(
    "order",
    [None, "name", "name[desc]", "fullname", "fullname[desc]", "created_at[desc]", "updated_at", "id[desc]",
     ["fullname[desc]", "name"], ["fullname", "created_at[desc]"]],
)  # fmt: skip
def test_accounts__paged_under_any_order__are_each_seen_once_and_in_order(
    published: Published, label: str, order: Any, limit: int
) -> None:
    keep = {"filter": f"labels[eq]{label}", "order": order}
    whole = published.accounts.list(limit=1000, **keep).result
    assert len(whole) == COUNT
    first, _, direction = ((order if isinstance(order, str) else order[0]) if order else "name").partition("[")
    keys = [getattr(account, first) for account in whole]
    assert keys == sorted(keys, reverse=direction == "desc]")
    assert pages(published.accounts.list, limit, **keep) == whole


def test_accounts__cursor_deleted_between_pages__goes_on_by_name(published: Published, label: str) -> None:
    keep: dict[str, Any] = {"filter": f"labels[eq]{label}", "limit": 4}
    first = published.accounts.list(**keep).result
    published.accounts.delete(first[-1].name)
    second = published.accounts.list(**keep, start_after=first[-1].name).result
    assert [account.name for account in second] == [f"{label}-{number:02}" for number in range(4, 8)]


def test_accounts__filtered__are_those_that_pass_all(published: Published, label: str) -> None:
    for filters, numbers in (
        (["environment[eq]test"], [1, 3, 5, 7, 9]),
        (["environment[ne]test", "fullname[in]Full 0,Full 1"], [0, 4, 6, 10]),
        ([f"name[gt]{label}-08"], [9, 10]),
        ([f"name[like]{label}-0%", "fullname[not like]*2"], [0, 1, 3, 4, 6, 7, 9]),
    ):
        given = published.accounts.list(filter=[f"labels[eq]{label}", *filters], total=True)
        assert [account.name for account in given.result] == [f"{label}-{number:02}" for number in numbers]
        assert given.total == len(numbers)


def test_integrations__paged_over_accounts__are_each_seen_once(published: Published, label: str) -> None:
    """Names of integrations repeat from account to account: there the cursor is the id, as `Link` says."""
    for account in published.accounts.list(filter=f"labels[eq]{label}").result[:5]:
        for name in ("siem", "tickets"):
            published.integrations.create(account.id, name=name, provider_config={"type": "siem_mock_siem"})
    keep: dict[str, Any] = {"filter": f"account.name[like]{label}%", "order": ["account.name", "name"]}
    whole = published.integrations.list(**keep).result
    assert [each.name for each in whole] == ["siem", "tickets"] * 5
    found: list[Any] = []
    while len(found) < 10:
        found += published.integrations.list(**keep, limit=3, start_after=found[-1].id if found else None).result
    assert found == whole


def test_credentials_and_tokens__paged__are_each_seen_once(published: Published) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    for number in range(5):
        published.credentials.create(account.id, name=f"key-{number}", config={"type": "token", "secret": "s"})
        published.tokens.create_token(
            name=f"{account.name}-{number}", resources={"accounts": {"ids": [account.id]}}, permission_set="viewer"
        )
    listed = pages(lambda **query: published.credentials.list(account.id, **query), 2, order="name[desc]")
    assert [each.name for each in listed] == [f"key-{number}" for number in (4, 3, 2, 1, 0)]
    tokens = pages(published.tokens.list, 2, filter=f"name[like]{account.name}-%", order="created_at")
    assert [each.name for each in tokens] == [f"{account.name}-{number}" for number in range(5)]
