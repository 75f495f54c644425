"""Operations carried out by a worker: when, how much, how often, and never twice."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from catalog.adapters import mock
from core.instants import format_instant
from core.ledger.performing import perform
from core.ledger.services import LEASE, MOST_LAPSES, LostClaimError, conclude
from core.tenancy import scoped
from events.audit.models import AuditEvent
from events.deliveries.models import Delivery
from integrations.operations import runner
from integrations.operations.services import prune_executions
from organizations.models import Organization, OrganizationState
from tests.api import Api
from tests.events.receiver import make_webhook
from tests.integrations.operations.worked import (
    HOUR,
    attempt,
    change,
    claim_one,
    delete,
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
from tests.objects import ok


def test_operation__due__is_carried_out_into_the_sink(acme: Api) -> None:
    integration = make_scheduled(acme)
    (job,) = jobs(acme)
    assert (job["status"], job["integration_id"]) == ("SCHEDULED", integration["id"])
    now = soon()
    assert work_at(now) == 1
    (done,) = history(acme)
    assert (done["status"], done["trigger_type"]) == ("COMPLETE", "SCHEDULED")
    assert (done["operation_id"], done["trigger_source"]) == (job["id"], integration["id"])
    assert done["records_processed"] == len(kept(acme)) > 100
    assert done["cursor_advanced_to"] <= done["started_at"] == done["final_cursor"] == format_instant(now)
    (after,) = jobs(acme)
    assert (after["status"], after["in_bytes"], after["cpu_time"]) == (
        "SCHEDULED", done["in_bytes"], done["cpu_time"],
    )  # fmt: skip
    assert after["output_integration_id"] == kept(acme)[0].integration_id
    assert "errors" not in after
    counted = ok(acme.get(f"/v1/status/{integration['account_id']}/{integration['id']}"))
    assert (counted["requests"], counted["failed"]) == (3, 0)  # its verification and two pages


def test_operation__by_its_frequency__runs_once_each_time_from_start_to_start(acme: Api) -> None:
    make_scheduled(acme)
    start = soon()
    for hours, runs in ((0, 1), (0, 0), (3, 0), (4, 1), (7, 0), (8, 1), (20, 1), (20, 0), (24, 1)):
        assert work_at(start + hours * HOUR) == runs, hours
        assert len(waiting(acme)) == 1
    assert [each.started_at for each in executions(acme)] == [start + h * HOUR for h in (0, 4, 8, 20, 24)]


def test_incremental__each_time__reads_what_changed_since(acme: Api) -> None:
    make_scheduled(acme, schedule("assets_query_alerts", backfill_from_time="7d"))
    made_at = operation_of(acme).created_at
    start = soon()
    for day in range(4):
        work_at(start + day * 24 * HOUR)
    first, *rest = executions(acme)
    assert first.initial_cursor == format_instant(made_at - dt.timedelta(days=7))
    assert first.records_processed in range(55, 58)
    assert [each.records_processed for each in rest] == [8, 8, 8]
    for before, after in zip([first, *rest], rest, strict=False):
        assert after.initial_cursor == before.final_cursor
        assert after.cursor_advanced_to is not None
        assert format_instant(after.cursor_advanced_to) > str(after.initial_cursor)
    assert len({row.record_id for row in kept(acme)}) == len(kept(acme)) == first.records_processed + 24


def test_incremental__nothing_new__does_not_advance_the_data(acme: Api) -> None:
    make_scheduled(acme, schedule(backfill_from_time=None))
    work_at(soon())
    (done,) = history(acme)
    assert done["records_processed"] == 0
    assert "cursor_advanced_to" not in done
    assert done["final_cursor"] == done["started_at"]


def test_incremental__time_field_of_its_own__is_what_counts(acme: Api) -> None:
    incremental = {"mode": "incremental", "time_filter_field": "created_time"}
    make_scheduled(acme, schedule(incremental_config=incremental))
    work_at(soon())
    assert history(acme)[0]["records_processed"] == len(kept(acme)) < 100  # no mock's device is that young
    assert all(row.data["created_time"] > format_instant(operation_of(acme).created_at)[:4] for row in kept(acme))


def test_full_snapshot__each_time__reads_everything(acme: Api) -> None:
    full = schedule(incremental_config={"mode": "full_snapshot"})
    integration = make_scheduled(acme, full)
    assert integration["scheduled_operations"][0]["frequency"]["value"] == "12h"
    start = soon()
    assert [work_at(start + hours * HOUR) for hours in (0, 4, 12)] == [1, 0, 1]
    assert [each.records_processed for each in executions(acme)] == [120, 120]
    assert {each.initial_cursor for each in executions(acme)} == {None}


def test_filters__of_the_schedule__are_applied(acme: Api) -> None:
    make_scheduled(
        acme, schedule("assets_query_alerts", filters=["severity[in]high,critical", "device.os.type[eq]linux"])
    )
    work_at(soon())
    assert jobs(acme)[0]["input"] == {"filters": ["severity[in]high,critical", "device.os.type[eq]linux"]}
    rows = [row.data for row in kept(acme)]
    assert rows
    assert {row["severity"] for row in rows} == {"high", "critical"}
    assert {row["device"]["os"]["type"] for row in rows} == {"linux"}


def test_window__longer_than_one_attempt__goes_on_at_once(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MOST_RECORDS", 200)
    make_scheduled(acme, schedule("assets_query_alerts"))
    start = soon()
    assert work_at(start) == 1
    assert [work_at(start + dt.timedelta(seconds=n)) for n in (60, 120, 180)] == [1, 1, 0]
    done = executions(acme)
    assert [each.records_processed for each in done][:2] == [200, 200]
    assert [each.initial_cursor for each in done][1:] == [each.final_cursor for each in done][:-1]
    assert done[-1].final_cursor == format_instant(start)
    assert len({row.record_id for row in kept(acme)}) == len(kept(acme)) == sum(e.records_processed for e in done) > 470
    assert operation_of(acme).progress is None


def test_worker__killed_after_it_wrote__leaves_each_record_once(acme: Api) -> None:
    make_scheduled(acme, schedule("assets_query_alerts", backfill_from_time="7d"))
    now = soon()
    dead = claim_one(now)
    forgotten = attempt(acme, dead)  # and is gone before it is recorded
    written = len(kept(acme))
    assert written > 50
    assert (executions(acme), jobs(acme)[0]["status"]) == ([], "PROCESSING")
    assert work_at(now + LEASE - dt.timedelta(seconds=1)) == 0
    assert work_at(now + LEASE) == 1
    (done,) = executions(acme)
    assert (done.started_at, done.records_processed, len(kept(acme))) == (now, written, written)
    with pytest.raises(LostClaimError):
        conclude(claim=dead, outcome=forgotten, now=now)
    assert len(executions(acme)) == len(waiting(acme)) == 1


def test_worker__that_keeps_dying__ends_the_execution_and_not_the_operation(acme: Api) -> None:
    make_scheduled(acme)
    now = soon()
    for _ in range(MOST_LAPSES):
        claim_one(now)
        now += LEASE
    assert work_at(now) == 1
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("CANCELLED", 0)
    assert "came to no end" in done["error"]
    assert [job["status"] for job in jobs(acme)] == ["SCHEDULED"]
    assert work_at(now + 4 * HOUR) == 1
    assert history(acme)[0]["status"] == "COMPLETE"


def test_work__that_breaks__ends_the_execution_and_not_the_operation(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: Any) -> None:
        raise ZeroDivisionError

    make_scheduled(acme)
    now = soon()
    with monkeypatch.context() as patched:
        patched.setattr(mock.MockSource, "read", break_off)
        for _ in range(MOST_LAPSES):
            assert work_at(now) == 1
            now += dt.timedelta(hours=1)
    (done,) = history(acme)
    assert (done["status"], len(waiting(acme))) == ("CANCELLED", 1)
    assert work_at(now + 4 * HOUR) == 1
    assert history(acme)[0]["status"] == "COMPLETE"


def test_integration__deleted_while_it_runs__is_history_and_runs_no_more(acme: Api) -> None:
    integration = make_scheduled(acme)
    now = soon()
    claimed = claim_one(now)
    outcome = attempt(acme, claimed)
    delete(acme, integration)
    conclude(claim=claimed, outcome=outcome, now=now)
    (done,) = history(acme)
    assert (done["status"], done["integration_id"]) == ("CANCELLED", integration["id"])
    assert "deleted" in done["error"]
    assert (jobs(acme), waiting(acme), work_at(now + 24 * HOUR)) == ([], [], 0)


def test_integration__deleted_while_it_waits__leaves_no_run(acme: Api) -> None:
    integration = make_scheduled(acme)
    delete(acme, integration)
    assert (jobs(acme), waiting(acme), work_at(soon())) == ([], [], 0)


def test_account__deleted__leaves_nothing_to_do(acme: Api) -> None:
    integration = make_scheduled(acme)
    assert acme.delete(f"/v1/accounts/{integration['account_id']}").status_code == 204
    assert (jobs(acme), history(acme), waiting(acme)) == ([], [], [])
    assert work_at(soon()) == 0


def test_schedule__changed_while_it_runs__counts_from_the_next_on(acme: Api) -> None:
    integration = make_scheduled(acme, schedule("assets_query_alerts", backfill_from_time="7d"))
    now, since = soon(), operation_of(acme).since
    claimed = claim_one(now)
    outcome = attempt(acme, claimed)
    hourly = {"type": "periodic", "value": "1h"}
    change(acme, integration, [
        schedule("assets_query_alerts", backfill_from_time="7d", filters=["severity[eq]high"], frequency=hourly)
    ])  # fmt: skip
    assert (waiting(acme), jobs(acme)[0]["status"]) == ([], "PROCESSING")
    conclude(claim=claimed, outcome=outcome, now=now)
    assert due(acme) == now + HOUR
    assert operation_of(acme).since == since  # what was read otherwise does not count
    assert work_at(now + HOUR) == 1
    assert history(acme)[0]["initial_cursor"] == format_instant(since or now)


def test_schedule__taken_off_while_it_runs__runs_no_more(acme: Api) -> None:
    integration = make_scheduled(acme)
    now = soon()
    claimed = claim_one(now)
    change(acme, integration, [schedule(enabled=False)])
    perform(claimed)
    assert (waiting(acme), jobs(acme)[0]["status"]) == ([], "DISABLED")
    change(acme, integration, [schedule()])
    assert (len(waiting(acme)), jobs(acme)[0]["status"]) == (1, "SCHEDULED")


def test_schedule__taken_off_and_put_back_while_a_run_looks__is_not_forgotten(acme: Api) -> None:
    integration = make_scheduled(acme)
    now = soon()
    claimed = claim_one(now)
    change(acme, integration, [schedule(enabled=False)])
    nothing_to_do = attempt(acme, claimed)
    change(acme, integration, [schedule()])
    assert waiting(acme) == []  # the run in hand sees to it
    conclude(claim=claimed, outcome=nothing_to_do, now=now)
    assert (executions(acme), jobs(acme)[0]["status"], len(waiting(acme))) == ([], "SCHEDULED", 1)
    assert work_at(soon()) == 1
    assert history(acme)[0]["status"] == "COMPLETE"


def test_organization__disabled__has_nothing_carried_out(acme: Api) -> None:
    make_scheduled(acme)
    now = soon()
    set_state(acme, OrganizationState.DISABLED)
    work_at(now)
    set_state(acme, OrganizationState.ENABLED)
    assert (history(acme)[0]["error"], kept(acme)) == ("the organization is disabled", [])
    work_at(now + 4 * HOUR)
    assert history(acme)[0]["status"] == "COMPLETE"


def set_state(api: Api, state: str) -> None:
    with scoped(api.scope):
        Organization.objects.update(state=state)


def test_execution__that_ended__is_news(acme: Api) -> None:
    integration = make_scheduled(acme)
    work_at(soon())
    with scoped(acme.scope):
        event = AuditEvent.objects.filter(action="operations.complete").get()
    assert (event.account_id, event.integration_id) == (integration["account_id"], integration["id"])
    assert (event.status, event.category, event.token_id) == ("done", "assets", None)


@pytest.mark.parametrize("filters, status", [([], "COMPLETE"), (["mock.fault[eq]expired_token"], "CANCELLED")])
def test_execution__that_ended_well_or_not__is_told_to_webhooks(acme: Api, filters: list[str], status: str) -> None:
    make_webhook(acme, "https://hooks.example/in", filters=["operation_complete"])
    integration = make_scheduled(acme, schedule(filters=filters))
    now = soon()
    claimed = claim_one(now)
    perform(claimed)
    assert history(acme)[0]["status"] == status
    with scoped(acme.scope):
        told = Delivery.objects.get()
    assert (told.event, told.integration_id) == ("operation_complete", integration["id"])
    assert orjson.loads(told.body)["integration"] == integration


def test_backfill__as_far_as_it_goes__starts_a_year_before_the_operation(acme: Api) -> None:
    make_scheduled(acme, schedule(backfill_from_time="max", filters=["device.os.type[eq]linux"]))
    operation = operation_of(acme)
    assert operation.since == operation.created_at - dt.timedelta(days=365)
    work_at(soon())
    assert history(acme)[0]["records_processed"] == len(kept(acme)) > 10


def test_prune__executions__goes_by_their_end(acme: Api, globex: Api) -> None:
    for api in (acme, globex):
        make_scheduled(api)
    now = soon()
    work_at(now)
    work_at(now + 4 * HOUR)
    assert prune_executions(before=now + HOUR) == 2
    assert [len(executions(api)) for api in (acme, globex)] == [1, 1]


def test_sink__that_is_full__forgets_the_oldest(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.operations.sinks.MOST_KEPT", 20)
    make_scheduled(acme)
    work_at(soon())
    assert len(kept(acme)) == 20
