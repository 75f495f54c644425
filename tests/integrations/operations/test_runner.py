"""Operations carried out by a worker: when, how much, and never twice."""

from __future__ import annotations

from tests.api import Api
from tests.integrations.operations.worked import (
    HOUR,
    history,
    jobs,
    kept,
    make_scheduled,
    soon,
    waiting,
    work_at,
)


def test_operation__due__is_carried_out_into_the_sink(acme: Api) -> None:
    integration = make_scheduled(acme)
    (job,) = jobs(acme)
    assert (job["status"], job["integration_id"]) == ("SCHEDULED", integration["id"])
    now = soon()
    assert work_at(now) == 1
    (done,) = history(acme)
    assert done["status"] == "COMPLETE"
    assert done["operation_id"] == job["id"]
    assert done["records_processed"] == len(kept(acme)) > 100
    assert done["cursor_advanced_to"] <= done["started_at"]
    (after,) = jobs(acme)
    assert (after["status"], after["in_bytes"]) == ("SCHEDULED", done["in_bytes"])
    (run,) = waiting(acme)
    assert run.due_at == now + 4 * HOUR
