"""Executions between two attempts: whatever becomes of their schedule, the history has what the sink was given."""

from __future__ import annotations

import datetime as dt
from typing import Any

from catalog.adapters import mock
from core.ledger.models import Run
from core.ledger.services import conclude
from tests.api import Api
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

BUSY = "mock.fault[eq]too_many_requests"


def busy(**members: Any) -> dict[str, Any]:
    return schedule("assets_query_alerts", **{"filters": [BUSY], **members})


def make_waiting(api: Api) -> tuple[dict[str, Any], dt.datetime, Run]:
    """An integration whose execution waits after one page: it, the time at which that began, and the run."""
    integration = make_scheduled(api, busy())
    now = soon()
    assert work_at(now) == 1
    (run,) = waiting(api)
    assert (executions(api), len(kept(api))) == ([], mock.PAGE_SIZE)
    return integration, now, run


def test_reading__changed_meanwhile__ends_as_it_began_and_does_not_count(acme: Api) -> None:
    integration, now, run = make_waiting(acme)
    since = operation_of(acme).since
    change(acme, integration, [busy(filters=["severity[eq]high"])])
    assert [each.id for each in waiting(acme)] == [run.id]
    assert work_at(due(acme)) == 1
    (done,) = executions(acme)
    assert (done.id, done.status, done.started_at) == (run.id, "COMPLETE", now)
    assert done.records_processed == len(kept(acme)) > 470
    assert {row.data["severity"] for row in kept(acme)} > {"high"}
    after = operation_of(acme)
    assert (after.since, after.progress) == (since, None)
    assert due(acme) == now + 4 * HOUR
    assert work_at(now + 4 * HOUR) == 1
    latest = executions(acme)[-1]
    added = [row for row in kept(acme) if row.execution_id == latest.id]
    assert {row.data["severity"] for row in added} == {"high"}
    assert latest.records_processed == len(added)


def test_frequency__changed_meanwhile__leaves_the_run_and_counts_for_the_next(acme: Api) -> None:
    integration, now, run = make_waiting(acme)
    change(acme, integration, [busy(frequency={"type": "periodic", "value": "1h"})])
    assert [each.id for each in waiting(acme)] == [run.id]
    assert work_at(due(acme)) == 1
    assert executions(acme)[0].records_processed == len(kept(acme))
    assert due(acme) == now + HOUR


def test_schedule__taken_off_meanwhile__is_cancelled_with_what_was_read(acme: Api) -> None:
    integration, now, _ = make_waiting(acme)
    change(acme, integration, [busy(enabled=False)])
    assert jobs(acme)[0]["status"] == "DISABLED"
    assert work_at(due(acme)) == 1
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("CANCELLED", mock.PAGE_SIZE)
    assert "disabled meanwhile: the schedule is not enabled" in done["error"]
    assert (jobs(acme)[0]["status"], waiting(acme), work_at(now + 24 * HOUR)) == ("DISABLED", [], 0)


def test_schedule__taken_off_and_put_back_meanwhile__goes_on(acme: Api) -> None:
    integration, _, run = make_waiting(acme)
    change(acme, integration, [busy(enabled=False)])
    change(acme, integration, [busy()])
    assert ([each.id for each in waiting(acme)], jobs(acme)[0]["status"]) == ([run.id], "SCHEDULED")
    assert work_at(due(acme)) == 1
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("COMPLETE", len(kept(acme)))


def test_integration__deleted_meanwhile__is_cancelled_with_what_was_read(acme: Api) -> None:
    integration, now, run = make_waiting(acme)
    delete(acme, integration)
    (done,) = history(acme)
    assert (done["execution_id"], done["status"], done["records_processed"]) == (run.id, "CANCELLED", mock.PAGE_SIZE)
    assert "deleted" in done["error"]
    assert (waiting(acme), work_at(now + 24 * HOUR)) == ([], 0)


def test_schedule__dropped_meanwhile__is_cancelled_with_what_was_read(acme: Api) -> None:
    integration, now, _ = make_waiting(acme)
    change(acme, integration, [])
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("CANCELLED", mock.PAGE_SIZE)
    assert (jobs(acme), waiting(acme), work_at(now + 24 * HOUR)) == ([], [], 0)


def test_integration__deleted_while_an_attempt_ends_early__is_history_once(acme: Api) -> None:
    integration = make_scheduled(acme, busy())
    now = soon()
    claimed = claim_one(now)
    outcome = attempt(acme, claimed)
    assert outcome.state == "again"
    delete(acme, integration)
    conclude(claim=claimed, outcome=outcome, now=now)
    (done,) = history(acme)
    assert (done["status"], done["records_processed"]) == ("CANCELLED", mock.PAGE_SIZE)
    assert work_at(now + HOUR) == 1  # which finds nothing to do
    assert len(history(acme)) == 1
    assert work_at(now + 24 * HOUR) == 0


def test_reading__changed_while_an_attempt_ends_early__ends_as_it_began(acme: Api) -> None:
    integration = make_scheduled(acme, busy())
    now = soon()
    claimed = claim_one(now)
    outcome = attempt(acme, claimed)
    change(acme, integration, [busy(filters=["severity[eq]high"])])
    conclude(claim=claimed, outcome=outcome, now=now)
    assert work_at(due(acme)) == 1
    (done,) = executions(acme)
    assert (done.id, done.started_at, done.records_processed) == (claimed.run_id, now, len(kept(acme)))
