"""Custom providers read on a schedule: pages, the window of time, rate limits, mappings, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django.fixtures import Settings

from catalog.adapters.custom import CustomSource, read_time, without_secrets
from catalog.adapters.interface import Query
from catalog.customs.definitions import read_schema
from core.instants import format_instant
from integrations.operations import runner
from integrations.schedules import OPERATIONS
from tests.api import Api
from tests.catalog.definitions import changed, config_of, make_custom, text_of
from tests.catalog.provider_server import Answer, Asked, serve
from tests.contract.problems import assert_problem
from tests.integrations.operations.worked import (
    HOUR,
    MOCK,
    SINK,
    due,
    executions,
    history,
    jobs,
    kept,
    make_scheduled,
    operation_of,
    schedule,
    soon,
    work_at,
)
from tests.objects import make_account, make_integration, make_point, ok, post_integration

SCHEDULED = "siem_query_events"
TICKETS: dict[str, Any] = {
    "path": "/tickets",
    "query": {"since": "{input.since}", "from": "{input.since_unix}"},
    "response": "/tickets",
    "pagination": {"style": "page", "parameter": "page"},
    "schedule": {"as": SCHEDULED, "id": "/id", "time": "/meta/updatedAt"},
}


def definition(**members: Any) -> dict[str, Any]:
    operation = {name: value for name, value in (TICKETS | members).items() if value is not None}
    return changed(operations={"list_tickets": operation}, check=None)


class Desk:
    """A help desk with three pages of two tickets, which is busy when it is told to be."""

    def __init__(self) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.busy: Iterator[bool] = iter(())  # whether it is, of each request
        self.start = dt.datetime.now(dt.UTC)
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        if asked.headers.get("Authorization") != "Bearer right":
            return 401, {}
        self.asked.append(parse_qs(urlsplit(asked.target).query))
        if next(self.busy, False):
            return 429, {}
        page = int(self.asked[-1]["page"][0])
        return 200, {"tickets": [self.ticket(n) for n in (2 * page - 1, 2 * page)] if page <= 3 else []}

    def ticket(self, number: int) -> dict[str, Any]:
        updated = format_instant(self.start - number * dt.timedelta(days=11))
        return {"id": number, "priority": "high" if number % 2 else "low", "meta": {"updatedAt": updated}}


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    desk = Desk()
    with serve(desk.answer) as server:
        desk.url = server.url
        yield desk


def make_desk(api: Api, desk: Desk, scheduled: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    made = make_custom(api, definition(**members))
    return make_scheduled(api, scheduled or schedule(SCHEDULED), config=config_of(made["id"], desk.url))


def ids(api: Api) -> list[str]:
    return [row.record_id for row in kept(api)]


def test_custom__on_a_schedule__is_read_page_by_page_into_the_sink(acme: Api, desk: Desk) -> None:
    integration = make_desk(acme, desk)
    since = operation_of(acme).since
    assert since is not None
    now = soon()
    assert work_at(now) == 1
    (done,) = history(acme)
    assert (done["status"], done["operation"]) == ("COMPLETE", SCHEDULED), done
    assert done["records_processed"] == 5  # the sixth ticket is older than the 60 days asked for
    assert ids(acme) == ["1", "2", "3", "4", "5"]
    assert kept(acme)[0].data == desk.ticket(1)
    whole = since.replace(microsecond=0)
    assert [each["page"] for each in desk.asked] == [["1"], ["2"], ["3"], ["4"]]
    assert {each["since"][0] for each in desk.asked} == {format_instant(whole)}
    assert {each["from"][0] for each in desk.asked} == {str(int(whole.timestamp()))}
    counted = ok(acme.get(f"/v1/status/{integration['account_id']}/{integration['id']}"))
    assert (counted["requests"], counted["failed"]) == (4, 0)
    assert work_at(now + 4 * HOUR) == 1
    assert history(acme)[0]["records_processed"] == 0


def test_custom__full_snapshot_or_no_time__reads_everything(acme: Api, desk: Desk) -> None:
    make_desk(acme, desk, schedule(SCHEDULED, incremental_config={"mode": "full_snapshot"}))
    assert work_at(soon()) == 1
    assert len(ids(acme)) == 6
    assert "since" not in desk.asked[0]


def test_custom__filters_and_mappings__are_applied(acme: Api, desk: Desk) -> None:
    ok(acme.post("/v1/mappings", {"name": "short", "data": "{when: meta.updatedAt, level: priority}"}))
    made = make_custom(acme, definition())
    account = make_account(acme)["id"]
    make_integration(acme, account, SINK)
    chains = [{"mappings": ["short"], "operation_ids": [SCHEDULED]}]
    scheduled = [schedule(SCHEDULED, filters=["priority[eq]high", "meta.updatedAt[lt]2999-01-01"])]
    make_integration(acme, account, config_of(made["id"], desk.url), mappings=chains, scheduled_operations=scheduled)
    assert work_at(soon()) == 1
    assert [(row.record_id, row.data["level"], set(row.data)) for row in kept(acme)] == [
        (number, "high", {"when", "level"}) for number in "135"
    ]


def test_custom__rate_limit_used_up__goes_on_where_it_was(acme: Api, desk: Desk) -> None:
    make_desk(acme, desk, rate_limit={"requests": 2, "seconds": 86400})
    assert work_at(soon()) == 1
    assert (ids(acme), executions(acme), len(desk.asked)) == (["1", "2", "3", "4"], [], 2)
    assert "2 requests in 86400 seconds" in jobs(acme)[0]["errors"][0]["message"]
    progress = operation_of(acme).progress
    assert progress is not None
    assert progress["page"] == "3"


def test_custom__a_page_between_two_pauses__gets_on(acme: Api, desk: Desk) -> None:
    make_desk(acme, desk)
    desk.busy = iter([False, True] * 4)
    now = soon()
    for _ in range(3):
        assert work_at(now) == 1
        now = due(acme)
    assert work_at(now) == 1
    (done,) = executions(acme)
    assert (done.status, done.records_processed, ids(acme)) == ("COMPLETE", 5, ["1", "2", "3", "4", "5"])


def test_custom__pauses_after_every_page__ends_complete_and_the_next_goes_on(
    acme: Api, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_ATTEMPTS", 2)
    make_desk(acme, desk)
    desk.busy = iter([False, True] * 4)
    now = soon()
    while len(executions(acme)) < 2:
        assert work_at(now) == 1
        now = due(acme)
    assert [(each.status, each.records_processed) for each in executions(acme)] == [("COMPLETE", 4), ("COMPLETE", 1)]
    assert ids(acme) == ["1", "2", "3", "4", "5"]
    assert operation_of(acme).progress is None


@pytest.mark.parametrize(
    "members, error",
    [
        ({"response": None}, "it sent no list of objects"),
        ({"schedule": {"as": SCHEDULED, "id": "/meta"}}, "at `/meta` an object has no text"),
        (
            {"schedule": {"as": SCHEDULED, "id": "/id", "time": "/priority"}},
            "the object '1' has no time at `/priority`",
        ),
        ({"path": "/{input.since}/tickets", "query": {"page": "x"}}, "cannot be called"),
        (
            {"query": {"page": "1"}, "pagination": {"style": "cursor", "parameter": "page", "at": "/tickets/0/id"}},
            "next page is the one before",
        ),
    ],
)
def test_custom__answer_that_the_definition_does_not_describe__fails_with_the_reason(
    acme: Api, desk: Desk, members: dict[str, Any], error: str
) -> None:
    make_desk(acme, desk, schedule(SCHEDULED, incremental_config={"mode": "full_snapshot"}), **members)
    assert work_at(soon()) == 1
    (done,) = history(acme)
    assert (done["status"], kept(acme)) == ("CANCELLED", [])
    assert error in done["error"]


@pytest.mark.parametrize(
    "members, reason",
    [
        ({"filters": ["priority"]}, "not written"),
        ({"incremental_config": {"mode": "incremental", "time_filter_field": "x"}}, "what the custom provider's"),
    ],
)
def test_custom__schedule_that_cannot_run__is_disabled(
    acme: Api, desk: Desk, members: dict[str, Any], reason: str
) -> None:
    make_desk(acme, desk, schedule(SCHEDULED, **members))
    (job,) = jobs(acme)
    assert (job["status"], reason in job["errors"][0]["message"]) == ("DISABLED", True)


def test_custom__operation_that_its_definition_does_not_schedule__is_refused(acme: Api, desk: Desk) -> None:
    made = make_custom(acme, definition())
    account = make_account(acme)["id"]
    for config, operation in ((config_of(made["id"]), "edr_query_alerts"), (MOCK, SCHEDULED)):
        answer = post_integration(acme, account, config, scheduled_operations=[schedule(operation)])
        assert_problem(answer, 400, at="/scheduled_operations/0/operation")


def test_point__of_custom_providers__gives_the_schedules_that_a_definition_has(acme: Api, desk: Desk) -> None:
    schedules = [schedule(SCHEDULED), schedule("edr_query_alerts")]
    everywhere = {"test": ["*"], "prod": ["*"]}
    point = make_point(acme, connector="custom", environments=everywhere, scheduled_operations=schedules)
    custom = make_custom(acme, definition())
    account = make_account(acme)["id"]
    made = make_integration(acme, account, config_of(custom["id"], desk.url), integration_point_id=point["id"])
    assert [each["operation"] for each in made["scheduled_operations"]] == [SCHEDULED]


def test_definition__that_takes_a_schedule_away__is_refused_while_it_is_used(acme: Api, desk: Desk) -> None:
    make_desk(acme, desk)

    def save(changed: dict[str, Any]) -> Any:
        return acme.patch("/v1/customs/desk", [{"op": "replace", "path": "/data", "value": text_of(changed)}])

    assert_problem(save(definition(schedule=None)), 409, "in-use")
    ok(save(definition(schedule={"as": SCHEDULED, "id": "/id"})))


@pytest.mark.parametrize(
    "operations, said",
    [
        ({"a": TICKETS, "b": TICKETS}, "/operations/a/schedule/as is what `b` is scheduled as"),
        ({"a": TICKETS | {"path": "/{input.queue}"}}, "/operations/a/path needs {input.queue}"),
        (
            {"a": TICKETS | {"schedule": {"as": "list_tickets", "id": "/id"}}},
            "/operations/a/schedule/as must be one of",
        ),
        ({"a": TICKETS | {"schedule": {"as": SCHEDULED}}}, "/operations/a/schedule/id is required"),
    ],
)
def test_definition__whose_schedule_is_wrong__is_refused_by_place(
    acme: Api, operations: dict[str, Any], said: str
) -> None:
    data = text_of(changed(operations=operations, check=None))
    problem = assert_problem(acme.post("/v1/customs", {"data": data}), 400, at="/data")
    assert problem["message"].startswith(f"/data: {said}")


def test_schema__of_definitions__names_the_operations_that_can_be_scheduled() -> None:
    assert read_schema()["$defs"]["schedule"]["properties"]["as"]["enum"] == list(OPERATIONS)


def test_source__of_a_definition__knows_what_it_schedules() -> None:
    assert CustomSource(definition()).operations == {SCHEDULED}
    assert CustomSource(definition(schedule=None)).operations == set()


@pytest.mark.parametrize(
    "value, time",
    [
        ("2026-11-20T12:00:00+02:00", "2026-11-20T10:00:00.000000Z"),
        (1763640000, "2025-11-20T12:00:00.000000Z"),
        (1763640000500, "2025-11-20T12:00:00.500000Z"),
        (1763640000.25, "2025-11-20T12:00:00.250000Z"),
        ("yesterday", None),
        (True, None),
        (None, None),
        (2**62, None),
    ],
)
def test_time__as_providers_write_it__is_read(value: Any, time: str | None) -> None:
    found = read_time(value)
    assert (found and format_instant(found)) == time


def test_cursor__that_repeats_the_credential__is_kept_without_it() -> None:
    secrets = {"/endpoints/default/credential": ("token", {"secret": "s/3cret"})}
    query = Query(SCHEDULED, seed="a", until=dt.datetime.now(dt.UTC), secrets=secrets)
    assert without_secrets("https://x.example/t?key=s%2F3cret&page=2", query) == "https://x.example/t?page=2"
    assert without_secrets("https://x.example/t?key=s%2F3cret", query) == "https://x.example/t"
    assert without_secrets("https://x.example/t?page=%32", query) == "https://x.example/t?page=%32"
    assert without_secrets("ab?c", query) == "ab?c"
