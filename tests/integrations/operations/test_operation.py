"""Operations kept in step with the schedules of integrations, and shown over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.columns import new_id
from core.instants import format_instant
from core.tenancy import scoped
from integrations.operations.models import Execution, Operation
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.integrations.operations.worked import (
    HOUR,
    MOCK,
    SINK,
    change,
    delete,
    due,
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
from tests.locks import locked_elsewhere
from tests.objects import make_account, make_integration, make_point, post_integration

REAL = {
    "type": "assets_tenable_cloud",
    "credential": {"type": "token", "secret": "hush"},
    "url": "https://127.0.0.1:9",
}


@pytest.mark.parametrize(
    "members, reason",
    [
        ({"enabled": False}, "not enabled"),
        ({"filters": ["hostname[eq]x"]}, "'hostname' cannot be filtered by"),
        ({"filters": ["severity"]}, "not written"),
        ({"filters": ["device.hostname[like]" + "a*" * 9]}, "has more than 5 wildcards"),
        ({"filters": ["mock.fault[eq]fire"]}, "takes one of too_many_requests"),
        ({"incremental_config": {"mode": "incremental", "time_filter_field": "x"}}, "is none of modified_time"),
    ],
)
def test_schedule__that_cannot_run__is_disabled_with_the_reason(
    members: dict[str, Any], reason: str, acme: Api
) -> None:
    integration = make_scheduled(acme, schedule(**members))
    (job,) = jobs(acme)
    assert job["status"] == "DISABLED"
    assert reason in job["errors"][0]["message"]
    assert (waiting(acme), work_at(soon())) == ([], 0)
    change(acme, integration, [schedule()])
    (after,) = jobs(acme)
    assert (after["status"], after["id"], "errors" in after) == ("SCHEDULED", job["id"], False)
    assert len(waiting(acme)) == 1
    change(acme, integration, [schedule(**members)])
    assert (jobs(acme)[0]["status"], waiting(acme)) == ("DISABLED", [])


def test_provider__without_an_adapter__is_recorded_as_disabled(acme: Api) -> None:
    account = make_account(acme)
    make_integration(acme, account["id"], SINK)
    config = {
        "type": "edr_crowdstrike",
        "credential": {"type": "o_auth_client", "client_id": "i", "client_secret": "s"},
    }
    answer = post_integration(acme, account["id"], config, scheduled_operations=[schedule("edr_query_alerts")])
    assert answer.status_code == 200, answer.content
    (job,) = jobs(acme)
    assert job["status"] == "DISABLED"
    assert "does not read from CrowdStrike" in job["errors"][0]["message"]


def test_sink__that_comes_and_goes__enables_and_disables(acme: Api) -> None:
    integration = make_scheduled(acme, sink=False)
    (job,) = jobs(acme)
    assert "no integration of the connector 'sink'" in job["errors"][0]["message"]
    other = make_integration(acme, integration["account_id"])
    assert "does not write to yet" in jobs(acme)[0]["errors"][0]["message"]
    sink = make_integration(acme, integration["account_id"], SINK)
    (job,) = jobs(acme)
    assert (job["status"], job["output_integration_id"], len(waiting(acme))) == ("SCHEDULED", sink["id"], 1)
    second = make_integration(acme, integration["account_id"], SINK)
    assert jobs(acme)[0]["output_integration_id"] == sink["id"]
    delete(acme, sink)
    assert (jobs(acme)[0]["output_integration_id"], len(waiting(acme))) == (second["id"], 1)
    work_at(soon())
    assert {row.integration_id for row in kept(acme)} == {second["id"]}
    delete(acme, second)
    assert (jobs(acme)[0]["status"], waiting(acme)) == ("DISABLED", [])
    delete(acme, other)


def test_sink__of_another_account__is_none(acme: Api) -> None:
    make_integration(acme, make_account(acme)["id"], SINK)
    make_scheduled(acme, sink=False)
    assert jobs(acme)[0]["status"] == "DISABLED"


def test_schedules__changed__keep_the_operations_that_stay(acme: Api) -> None:
    twice = [schedule(), schedule("assets_query_alerts"), schedule(filters=["device.os.type[eq]linux"])]
    integration = make_scheduled(acme, *twice)
    before = {job["operation"] + str(job["input"]): job["id"] for job in jobs(acme)}
    assert len(before) == len(waiting(acme)) == 3
    change(acme, integration, [*twice[1:2], *twice[:1]])
    after = {job["operation"] + str(job["input"]): job["id"] for job in jobs(acme)}
    assert after == {name: before[name] for name in after}
    assert len(after) == len(waiting(acme)) == 2
    change(acme, integration, [])
    assert (jobs(acme), waiting(acme)) == ([], [])


def test_integration__changed_otherwise__leaves_operations_and_runs(acme: Api) -> None:
    integration = make_scheduled(acme)
    before, runs = jobs(acme), [run.id for run in waiting(acme)]
    url = f"/v1/integrations/{integration['account_id']}/{integration['id']}"
    assert acme.patch(url, [{"op": "replace", "path": "/fullname", "value": "Other"}]).status_code == 200
    assert (jobs(acme), [run.id for run in waiting(acme)]) == (before, runs)


def test_frequency__changed__counts_from_the_last_start(acme: Api) -> None:
    integration = make_scheduled(acme)
    now = soon()
    work_at(now)
    for value, hours in (("6h", 6), ("90m", 1.5), ("2d", 48)):
        change(acme, integration, [schedule(frequency={"type": "periodic", "value": value})])
        assert due(acme) == now + hours * HOUR


@pytest.mark.django_db(transaction=True)
def test_schedule__changed_while_its_run_is_being_claimed__waits_for_nobody(acme: Api) -> None:
    integration = make_scheduled(acme)
    (run,) = waiting(acme)
    with locked_elsewhere(run):
        change(acme, integration, [schedule(enabled=False)])
        change(acme, integration, [schedule()])
        assert (jobs(acme)[0]["status"], waiting(acme)) == ("PROCESSING", [run])
    assert work_at(soon()) == 1
    assert (jobs(acme)[0]["status"], history(acme)[0]["execution_id"]) == ("SCHEDULED", run.id)
    assert len(waiting(acme)) == 1


def test_backfill__changed__starts_there(acme: Api) -> None:
    integration = make_scheduled(acme, schedule(backfill_from_time="7d"))
    made = operation_of(acme)
    assert made.since == made.created_at - dt.timedelta(days=7)
    work_at(soon())
    change(acme, integration, [schedule(backfill_from_time="2026-10-01T00:00:00Z")])
    assert operation_of(acme).since == dt.datetime(2026, 10, 1, tzinfo=dt.UTC)


def test_point__with_schedules__gives_them_and_is_the_source(acme: Api) -> None:
    environments = {"test": ["*"], "prod": ["*"]}
    point = make_point(acme, connector="assets", environments=environments, scheduled_operations=[schedule()])
    account = make_account(acme)
    make_integration(acme, account["id"], SINK)
    make_integration(acme, account["id"], MOCK, integration_point_id=point["id"])
    work_at(soon())
    (done,) = history(acme)
    assert (done["integration_point_id"], done["trigger_source"]) == (point["id"], point["id"])


def test_history__its_filters__are_those_of_the_contract(acme: Api) -> None:
    integration = make_scheduled(acme, schedule(), schedule("assets_query_alerts"))
    now = soon()
    work_at(now)
    work_at(now + 4 * HOUR)
    rows = history(acme)
    assert [row["started_at"] for row in rows] == sorted((row["started_at"] for row in rows), reverse=True)
    assert history(acme, order="started_at") == rows
    assert history(acme, order="started_at[asc]")[0]["started_at"] == format_instant(now)
    first, job = rows[0], jobs(acme, filter="operation[eq]assets_query_alerts")[0]
    for text, count in (
        (f"id[eq]{job['id']}", 2),
        (f"operation_id[eq]{job['id']}", 2),
        ("operation_id[eq]assets_query_alerts", 2),
        ("operation_id[in]assets_query_alerts,assets_query_devices", 4),
        ("operation_id[ne]assets_query_alerts", 2),
        (f"execution_id[eq]{first['execution_id']}", 1),
        (f"integration_id[eq]{integration['id']}", 4),
        (f"account_id[eq]{new_id()}", 0),
        (f"started_at[gt]{format_instant(now)}", 2),
        (f"started_at[lte]{format_instant(now)}", 2),
        ("status[eq]COMPLETE", 4),
        ("category[eq]edr", 0),
    ):
        assert len(history(acme, filter=text)) == count, text
    assert_problem(acme.get("/v1/jobs/history", query={"filter": "name[eq]x"}), 400, at="filter")
    assert_problem(acme.get("/v1/jobs/history", query={"order": "name"}), 400, at="order")


def test_history__walked__gives_each_once_and_splits_no_instant(acme: Api) -> None:
    make_scheduled(acme, schedule(), schedule("assets_query_alerts"))
    now = soon()
    for hours in (0, 4, 8):
        work_at(now + hours * HOUR)
    whole = [row["execution_id"] for row in history(acme)]
    answer = acme.get("/v1/jobs/history", query={"limit": 1})
    seen: list[str] = []
    while True:
        page = answer.json()["result"]
        assert len(page) in (0, 2)  # all of one instant
        seen += [row["execution_id"] for row in page]
        if "Link" not in answer.headers:
            break
        answer = acme.get(answer.headers["Link"].partition(">")[0].removeprefix("<"))
    assert seen == whole
    after = history(acme, limit=2, start_after=format_instant(now + 4 * HOUR))
    assert [row["started_at"] for row in after] == [format_instant(now)] * 2
    assert_problem(acme.get("/v1/jobs/history", query={"start_after": "x"}), 400, at="start_after")


def test_narrowed_token__sees_the_jobs_of_its_part(acme: Api, stranger: Api) -> None:
    here, elsewhere = make_scheduled(acme), make_scheduled(acme)
    work_at(soon())
    narrowed = acme.issue(resources={"accounts": {"ids": [here["account_id"]]}})
    edr = acme.issue(resources={"integrations": {"categories": ["edr"]}})
    for read in (jobs, history):
        assert {row["integration_id"] for row in read(acme)} == {here["id"], elsewhere["id"]}
        assert [row["integration_id"] for row in read(narrowed)] == [here["id"]]
        assert read(edr) == read(stranger) == []


def test_integration__changed_by_a_narrowed_token__is_followed_all_the_same(acme: Api) -> None:
    integration = make_scheduled(acme)
    narrowed = acme.issue(resources={"integrations": {"categories": ["assets"]}})  # sees no sink
    change(narrowed, integration, [schedule("assets_query_alerts")])
    (job,) = jobs(acme)
    assert (job["operation"], job["status"], len(waiting(acme))) == ("assets_query_alerts", "SCHEDULED", 1)


def test_refused_change__leaves_operations_as_they_were(acme: Api) -> None:
    integration = make_scheduled(acme)
    before = jobs(acme)
    url = f"/v1/integrations/{integration['account_id']}/{integration['id']}"
    patch = [{"op": "replace", "path": "/scheduled_operations/0/operation", "value": "edr_query_alerts"}]
    assert_problem(acme.patch(url, patch), 400)
    assert jobs(acme) == before
    with scoped(acme.scope):
        assert (Operation.objects.count(), Execution.objects.count()) == (1, 0)
