"""Status and billing through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from synqly.management.billing import BillingMonth
from synqly.management.common import NotFoundError
from synqly.management.status import ListStatusOptions

from tests.client.published import Published, exercises, new_name, words

MOCK = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}


@pytest.fixture
def integration(published: Published) -> Any:
    account = published.accounts.create(name=new_name("status")).result.account
    return published.integrations.create(account.id, provider_config=MOCK).result.integration


@exercises(
    "GET /v1/status/{account_id}/{integration_id}",
    "PUT /v1/status/{account_id}/{integration_id}",
    "GET /v1/status/{account_id}/{integration_id}/events",
    "GET /v1/status/{account_id}/{integration_id}/timeseries",
    "GET /v1/status/timeseries",
)
def test_status__of_one_integration__is_the_clients_model(published: Published, integration: Any) -> None:
    at = (integration.account_id, integration.id)
    shown = published.status.get(*at).result
    assert (shown.status, shown.requests, shown.failed) == ("ok", 1, 0)
    assert published.status.list_events(*at, limit=1, order="created_at[desc]").result == []
    series = published.status.get_integration_timeseries(*at, interval="hour").result
    assert (len(series.series), series.series[-1].succeeded) == (24, 1)
    assert published.status.get_timeseries().result.series[-1].succeeded >= 1
    assert published.status.reset(*at) is None
    assert published.status.get(*at).result.requests == 0
    with pytest.raises(NotFoundError):
        published.status.get(integration.account_id, integration.account_id)


@exercises("GET /v1/status/{account_id}/{integration_id}/events")
def test_status_events__of_a_failing_integration__are_the_clients_models(published: Published) -> None:
    account = published.accounts.create(name=new_name("status")).result.account
    credential = {"type": "token", "secret": "hush"}
    config = {"type": "notifications_slack", "channel": "#a", "url": "https://127.0.0.1:9", "credential": credential}
    made = published.integrations.create(account.id, provider_config=config).result.integration
    (event,) = published.status.list_events(account.id, made.id).result
    assert (event.status, event.request, event.integration_id) == ("failing", 1, made.id)
    assert "127.0.0.1" in event.error
    after = event.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert published.status.list_events(account.id, made.id, start_after=after).result == []


@exercises("GET /v1/status")
@pytest.mark.parametrize("expand", [None, *words(ListStatusOptions)])
def test_status__list__are_the_clients_models(published: Published, integration: Any, expand: str | None) -> None:
    mine = f"account_id[eq]{integration.account_id}"
    (shown,) = published.status.list(filter=mine, expand=expand, order=["failed[desc]", "account_id"]).result
    assert shown.integration_id == integration.id
    assert bool(shown.account) == (expand in ("account", "accounts", "all"))
    assert bool(shown.integration) == (expand in ("integration", "integrations", "all"))
    after = f"{shown.account_id},{shown.integration_id}"
    assert published.status.list(filter=mine, start_after=after, limit=1).result == []


@exercises("GET /v1/billing", "GET /v1/billing/{organization_id}/{month}")
def test_billing__list_and_get__are_the_clients_models(published: Published, integration: Any) -> None:
    organization = published.organization.get().result
    (report,) = published.billing.list(limit=1, order="organization_id[desc]").result
    assert (report.organization_id, report.month) == (organization.id, BillingMonth.PARTIAL)
    assert integration.name in published.billing.get(organization.id, "partial").result.csv_data
    for month in words(BillingMonth):
        assert published.billing.get(organization.id, month).result.month == month
    assert published.billing.list(start_after=organization.id).result == []


@exercises("GET /v1/billing/export")
def test_billing__export__is_read_as_bytes(published: Published) -> None:
    for asked in ({}, {"month": "may"}, {"from_": "june", "to": "june"}):
        content = b"".join(published.client.billing.export(**asked))
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
            assert {"metadata.json", "export.log"} <= set(tar.getnames())
