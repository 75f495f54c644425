"""Keeping operations and their runs in step with the schedules of integrations."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from catalog.adapters.registry import find_source
from catalog.registry import get_provider
from core.columns import new_id
from core.errors import ConflictError
from core.instants import read_instant
from core.ledger.models import Run, RunState
from core.ledger.services import cancel, enqueue, recall
from core.pruning import delete_old
from integrations.models import Integration
from integrations.operations.history import Progress, write_execution
from integrations.operations.models import Execution, Operation, OperationStatus
from integrations.operations.sinks import SINK, find_sink
from integrations.schedules import next_start, time_ago

KIND = "operation"  # of its runs in the ledger
LONGEST_BACKFILL = dt.timedelta(days=365)
DELETED = "the integration or its schedule was deleted meanwhile"
READING = ("filters", "backfill_from_time", "incremental_config")  # members of a schedule that say what is read


def follow_schedules(*, integration: Integration) -> None:
    """Makes, changes and deletes the operations of an integration that was saved, and their runs."""
    kept = {(each.operation, each.ordinal): each for each in _locked(integration_id=integration.id)}
    sink: tuple[Integration | None, str] | None = None
    numbers: Counter[str] = Counter()
    for schedule in integration.scheduled_operations or []:
        sink = sink or find_sink(account_id=integration.account_id)
        key = (schedule["operation"], numbers[schedule["operation"]])
        numbers[schedule["operation"]] += 1
        operation = kept.pop(key, None) or _new(integration, schedule, ordinal=key[1])
        _follow(operation, schedule, integration, sink)
    if kept:
        _end(kept.values())
        Operation.objects.unnarrowed().filter(id__in=[each.id for each in kept.values()]).delete()


def follow_sinks(*, integration: Integration) -> None:
    """Looks anew for the sink of an account's operations, after a sink came or went."""
    if integration.category != SINK:
        return
    operations = list(_locked(account_id=integration.account_id).select_related("integration"))
    if operations:
        sink = find_sink(account_id=integration.account_id)
        for each in operations:
            _follow(each, each.schedule, each.integration, sink)


def forget_operations(*, integration: Integration) -> None:
    """Ends what waits for an integration that is about to be deleted; its operations go with it."""
    _end(_locked(integration_id=integration.id))


def end_account(account_id: str) -> None:
    """Ends what waits for integrations of an account that is about to be deleted; they go with it."""
    _end(_locked(account_id=account_id))


def _end(operations: Iterable[Operation]) -> None:
    """Ends what waits for operations that are about to be deleted; an execution in the middle becomes history."""
    for each in operations:
        run_id = execution_of(each)
        if run_id and not is_running(each.id):  # else its worker writes the history
            now = timezone.now()
            progress = Progress.of(each, run_id=run_id, at=now)
            write_execution(each, progress, ended=now, problem=ConflictError(DELETED))
        cancel(kind=KIND, subject_ids=[each.id])


def prune_executions(*, before: dt.datetime) -> int:
    """Deletes the history of what ended before a time."""
    return delete_old(Execution, completed_at__lt=before)


def objection_to(schedule: dict[str, Any], integration: Integration, sink: tuple[Integration | None, str]) -> str:
    """Why an operation cannot run; empty if it can."""
    provider, operation = get_provider(integration.provider_type), schedule["operation"]
    source = find_source(provider, integration.custom) if provider else None
    if not schedule["enabled"]:
        return "the schedule is not enabled"
    if provider is None or source is None:
        fullname = provider.fullname if provider else integration.provider_type
        return f"this service does not read from {fullname} by itself yet"
    if operation not in source.operations:
        return f"{operation} is not what {source.fullname} is read by here"
    field = (schedule.get("incremental_config") or {}).get("time_filter_field") or ""
    filters = schedule.get("filters") or []
    return source.objection(operation=operation, filters=filters, time_field=field) or sink[1]


def _locked(**fixed: Any) -> Any:
    """Operations in the order in which all lock them."""
    return Operation.objects.unnarrowed().select_for_update(of=("self",)).filter(**fixed).order_by("id")


def _new(integration: Integration, schedule: dict[str, Any], ordinal: int) -> Operation:
    operation: Operation = Operation.in_scope(
        id=new_id(),
        integration=integration,
        account_id=integration.account_id,
        category=integration.category,
        operation=schedule["operation"],
        ordinal=ordinal,
    )
    operation.since = _beginning(schedule, operation.created_at)
    return operation


def _beginning(schedule: dict[str, Any], created_at: dt.datetime) -> dt.datetime:
    """Where the first execution starts to read: never further back than a year."""
    text = schedule.get("backfill_from_time")
    if text is None:
        return created_at
    earliest = created_at - LONGEST_BACKFILL
    if text == "max":
        return earliest
    found = time_ago(text, created_at) or read_instant(text) or created_at
    return max(found, earliest)


def _follow(
    operation: Operation, schedule: dict[str, Any], integration: Integration, sink: tuple[Integration | None, str]
) -> None:
    """Puts a schedule into its operation, and sees to it that there is one run of it, or none."""
    is_new, before = operation._state.adding, operation.schedule
    objection = objection_to(schedule, integration, sink)
    old = (operation.status, operation.output_integration_id, operation.integration_point_id)
    changed = is_new or before != schedule
    if not is_new and any(before.get(member) != schedule.get(member) for member in READING):
        operation.revision += 1
        if not execution_of(operation):  # which ends as it began
            operation.progress = None
        if before.get("backfill_from_time") != schedule.get("backfill_from_time"):
            operation.since = _beginning(schedule, timezone.now())
    operation.schedule = schedule
    operation.input = {"filters": schedule["filters"]} if schedule.get("filters") else {}
    operation.integration_point_id = integration.integration_point_id
    operation.output_integration_id = None if sink[0] is None else sink[0].id
    _settle(operation, objection, is_anew=changed)
    now = (operation.status, operation.output_integration_id, operation.integration_point_id)
    if changed or old != now:
        operation.touch()
    operation.save(force_insert=is_new)


def _settle(operation: Operation, objection: str, *, is_anew: bool) -> None:
    """The state that follows from whether it can run, with the run that belongs to it.

    The run of an execution in the middle stays: it ends what has begun, also where nothing is to follow.
    """
    was_disabled = operation.status == OperationStatus.DISABLED
    if not (objection or is_anew or was_disabled):
        return
    has_begun = bool(execution_of(operation))
    is_held = is_running(operation.id) if has_begun else bool(recall(kind=KIND, subject_ids=[operation.id]))
    if objection:
        operation.status, operation.errors = OperationStatus.DISABLED, [{"message": objection}]
        return
    if was_disabled:
        operation.errors = None
    operation.status = OperationStatus.PROCESSING if is_held else OperationStatus.SCHEDULED
    if is_held or has_begun:  # the conclusion of that run writes the next one
        return
    last = Execution.objects.unnarrowed().filter(operation_id=operation.id).order_by("-started_at").first()
    at = next_start(operation.schedule, last.started_at) if last is not None else None
    enqueue(kind=KIND, subject_id=operation.id, at=at if at and at > timezone.now() else None)


def is_running(operation_id: str) -> bool:
    """Whether a worker has a run of the operation in hand."""
    return Run.objects.filter(kind=KIND, subject_id=operation_id, state=RunState.RUNNING).exists()


def execution_of(operation: Operation) -> str:
    """The run of the execution that a locked operation is in the middle of; empty if there is none."""
    run_id = str((operation.progress or {}).get("run_id", ""))
    if run_id and Run.objects.filter(pk=run_id, state__in=(RunState.WAITING, RunState.RUNNING)).exists():
        return run_id
    return ""
