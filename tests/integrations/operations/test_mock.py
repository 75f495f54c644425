"""The mock providers: every scheduled operation of theirs, data that stays the same, and faults on request."""

from __future__ import annotations

import datetime as dt

import pytest

from catalog.adapters import mock
from catalog.adapters.interface import Page, Query
from catalog.adapters.mock_data import STREAMS
from catalog.adapters.registry import source_of
from catalog.registry import get_provider, list_providers
from integrations.operations import runner
from integrations.schedules import OPERATIONS
from tests.api import Api
from tests.integrations.operations.worked import (
    HOUR,
    due,
    executions,
    history,
    jobs,
    kept,
    make_scheduled,
    operation_of,
    schedule,
    soon,
    waiting,
    work_at,
)

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
READ = [
    (provider.id, operation)
    for provider in list_providers()
    if provider.is_mock
    for operation in OPERATIONS
    if operation.startswith(f"{provider.connector_id}_")
]


def read_all(provider: str, query: Query) -> list[Page]:
    found = get_provider(provider)
    assert found is not None
    source = source_of(found)
    assert source is not None
    pages = [source.read(query, "")]
    while pages[-1].following:
        pages.append(source.read(query, pages[-1].following))
    return pages


@pytest.mark.parametrize("provider, operation", READ)
def test_mock__each_operation__has_data_that_stays_the_same(provider: str, operation: str) -> None:
    since = NOW - dt.timedelta(days=60)
    query = Query(operation, seed="a", until=NOW, since=since)
    pages = read_all(provider, query)
    records = [record for page in pages for record in page.records]
    assert [len(page.records) for page in pages[:-1]] == [mock.PAGE_SIZE] * (len(pages) - 1)
    assert len({record.id for record in records}) == len(records) > mock.PAGE_SIZE
    assert read_all(provider, query) == pages
    times = [record.time for record in records if record.time is not None]
    assert times == sorted(times)
    assert len(times) == len(records)
    assert times[0] > since
    assert times[-1] <= NOW
    other = read_all(provider, Query(operation, seed="b", until=NOW, since=since))
    assert not {record.id for record in records} & {r.id for page in other for r in page.records}


@pytest.mark.parametrize("operation", STREAMS)
def test_mock__read_in_parts__is_what_it_is_at_once(operation: str) -> None:
    source, start = mock.MockSource("Mock", operation.partition("_")[0]), NOW - dt.timedelta(days=30)

    def ids(since: dt.datetime, until: dt.datetime) -> dict[str, object]:
        query, cursor = Query(operation, seed="a", until=until, since=since), ""
        found: dict[str, object] = {}
        while True:
            page = source.read(query, cursor)
            found |= {record.id: record.data for record in page.records}
            if not (cursor := page.following):
                return found

    parts: dict[str, object] = {}
    for day in range(30):
        parts |= ids(start + dt.timedelta(days=day), start + dt.timedelta(days=day + 1))
    assert parts == ids(start, NOW)


def test_mocks__of_schedulable_connectors__all_have_an_adapter() -> None:
    assert len(READ) > 60
    assert len({provider for provider, _ in READ}) == 26
    assert {operation for _, operation in READ} == set(STREAMS)


@pytest.mark.parametrize("provider", ["assets_axonius_mock", "edr_crowdstrike_mock", "identity_okta_mock"])
def test_mock__all_operations_of_an_integration__are_carried_out(provider: str, acme: Api) -> None:
    operations = [operation for each, operation in READ if each == provider]
    make_scheduled(acme, *map(schedule, operations), config={"type": provider, "dataset": "basic_v0"})
    now = soon()
    assert work_at(now) == len(operations)
    assert {(row["operation"], row["status"]) for row in history(acme)} == {(o, "COMPLETE") for o in operations}
    assert len(kept(acme)) == sum(row["records_processed"] for row in history(acme))


def fault(name: str) -> dict[str, object]:
    return schedule("assets_query_alerts", filters=[f"mock.fault[eq]{name}"])


def test_fault__too_many_requests__goes_on_after_the_pause_where_it_was(acme: Api) -> None:
    make_scheduled(acme, fault("too_many_requests"))
    now = soon()
    work_at(now)
    assert (executions(acme), len(kept(acme))) == ([], mock.PAGE_SIZE)
    (job,) = jobs(acme)
    assert job["status"] == "SCHEDULED"
    assert "429: too many requests; tried again at" in job["errors"][0]["message"]
    (run,) = waiting(acme)
    assert dt.timedelta(seconds=30) <= due(acme) - now < dt.timedelta(seconds=32)
    assert work_at(now + dt.timedelta(seconds=29)) == 0
    assert work_at(due(acme)) == 1
    (done,) = executions(acme)
    assert (done.status, done.id, done.started_at) == ("COMPLETE", run.id, now)
    assert done.records_processed == len(kept(acme)) == len({row.record_id for row in kept(acme)}) > 470
    assert "errors" not in jobs(acme)[0]
    assert due(acme) == now + 4 * HOUR


def test_fault__expired_token__fails_at_once_and_is_tried_on_time(acme: Api) -> None:
    make_scheduled(acme, fault("expired_token"))
    now, since = soon(), operation_of(acme).since
    assert work_at(now) == 1
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("CANCELLED", 0)
    assert done["error"] == "Axonius Asset Cloud (mock) answered 401: the token has expired"
    assert done["initial_cursor"] == done["final_cursor"]
    (job,) = jobs(acme)
    assert (job["status"], job["errors"]) == ("SCHEDULED", [{"message": done["error"]}])
    assert operation_of(acme).since == since
    assert due(acme) == now + 4 * HOUR


def test_fault__malformed__leaves_nothing_half_written(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    make_scheduled(acme, fault("malformed"))
    now = soon()
    work_at(now)
    assert (kept(acme), history(acme)[0]["status"]) == ([], "CANCELLED")
    assert "sent no JSON" in history(acme)[0]["error"]

    whole = mock.MockSource.read

    def break_later(self: mock.MockSource, query: Query, cursor: str) -> Page:
        if cursor:
            return whole(self, query, cursor)
        page = self._parsed(self._answer(query, cursor, []))
        assert page.following
        return page

    monkeypatch.setattr(mock.MockSource, "read", break_later)
    work_at(now + 4 * HOUR)
    assert (kept(acme), [each.status for each in executions(acme)]) == ([], ["CANCELLED"] * 2)


def test_fault__slow__is_bounded_tried_a_few_times_and_fails(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PATIENCE", 0.01)
    make_scheduled(acme, fault("slow"))
    start = now = soon()
    for attempt in range(1, runner.MOST_ATTEMPTS + 1):
        assert work_at(now) == 1
        pause = due(acme) - now
        if attempt < runner.MOST_ATTEMPTS:
            assert dt.timedelta(0) <= pause - dt.timedelta(seconds=30 * 2 ** (attempt - 1)) < dt.timedelta(seconds=2)
            now += pause
    (done,) = history(acme)
    assert (done["status"], len(kept(acme))) == ("CANCELLED", 0)
    assert "did not answer in 0.01 seconds" in done["error"]
    assert due(acme) == start + 4 * HOUR
