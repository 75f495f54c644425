"""Operations that tests let a worker carry out, by a clock that they give."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from core.columns import new_id
from core.ledger.models import Run, RunState
from core.ledger.services import Claim, Outcome, claim
from core.ledger.worker import Heart, work_until_idle
from core.tenancy import scoped
from integrations.operations import runner
from integrations.operations.models import Execution, Operation, SinkRecord
from tests.api import Api
from tests.objects import make_account, make_integration, ok

MOCK = {"type": "assets_axonius_mock", "dataset": "basic_v0"}
SINK = {"type": "sink_mock_sink"}
HOUR = dt.timedelta(hours=1)


def schedule(operation: str = "assets_query_devices", **members: Any) -> dict[str, Any]:
    frequency = {"type": "periodic", "value": "4h"}
    return {"operation": operation, "enabled": True, "frequency": frequency, "backfill_from_time": "60d", **members}


def make_scheduled(
    api: Api, *schedules: dict[str, Any], config: dict[str, Any] | None = None, sink: bool = True
) -> dict[str, Any]:
    """An integration with schedules, in a new account with a mock sink."""
    account = make_account(api)
    if sink:
        make_integration(api, account["id"], SINK)
    scheduled = list(schedules) or [schedule()]
    return make_integration(api, account["id"], config or MOCK, scheduled_operations=scheduled)


def change(api: Api, integration: dict[str, Any], schedules: list[dict[str, Any]]) -> None:
    """Gives an integration other schedules."""
    url = f"/v1/integrations/{integration['account_id']}/{integration['id']}"
    patch = [{"op": "replace", "path": "/scheduled_operations", "value": schedules}]
    assert api.patch(url, patch).status_code == 200


def delete(api: Api, integration: dict[str, Any]) -> None:
    assert api.delete(f"/v1/integrations/{integration['account_id']}/{integration['id']}").status_code == 204


def work_at(now: dt.datetime) -> int:
    """Does what is due at a time; returns how many runs that was."""
    return work_until_idle(Heart(), lambda: now)


def claim_one(now: dt.datetime) -> Claim:
    """The run that is due first at a time, in the hand of a worker that is yet to do it."""
    (claimed,) = claim(worker_id=new_id(), most=1, now=now, kinds=["operation"])
    return claimed


def attempt(api: Api, claimed: Claim) -> Outcome:
    """What the work of a claim comes to, which is not recorded yet."""
    with scoped(api.scope):
        return runner.WORK(claimed)


def soon() -> dt.datetime:
    """A time at which what was just enqueued is due."""
    return timezone.now() + dt.timedelta(seconds=1)


def jobs(api: Api, **query: Any) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = ok(api.get("/v1/jobs", query=query))
    return shown


def history(api: Api, **query: Any) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = ok(api.get("/v1/jobs/history", query=query))
    return shown


def kept(api: Api) -> list[SinkRecord]:
    """What the mock sinks hold, first to last."""
    with scoped(api.scope):
        return list(SinkRecord.objects.order_by("id"))


def waiting(api: Api) -> list[Run]:
    with scoped(api.scope):
        return list(Run.objects.filter(kind="operation", state=RunState.WAITING))


def due(api: Api) -> dt.datetime:
    """The time of the one run that waits."""
    (run,) = waiting(api)
    assert run.due_at is not None
    return run.due_at


def operation_of(api: Api) -> Operation:
    with scoped(api.scope):
        found: Operation = Operation.objects.get()
        return found


def executions(api: Api) -> list[Execution]:
    with scoped(api.scope):
        return list(Execution.objects.order_by("started_at"))
