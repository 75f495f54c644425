"""What is recorded of an attempt: the execution, how far the operation has come, and the next run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Sequence
from typing import Any

import orjson

from catalog.adapters.interface import Record
from core import activity
from core.columns import format_instant, read_instant
from core.errors import ProblemError
from core.ledger.models import Run, RunState
from core.ledger.services import Claim, enqueue
from core.reading import reader_of
from integrations.operations.models import Execution, Operation, OperationStatus, OperationTriggerType
from integrations.operations.services import KIND, is_full, next_start
from integrations.serializers import IntegrationSerializer

LONGEST_CURSOR = 1024


@dataclasses.dataclass(slots=True)
class Begun:
    """An execution in hand: the claim, the operation as it was then, and what attempts before have come to."""

    claimed: Claim
    operation: Operation
    progress: dict[str, Any]
    began: float = dataclasses.field(default_factory=time.monotonic)
    began_cpu: float = dataclasses.field(default_factory=time.thread_time)

    @property
    def page(self) -> str:
        return str(self.progress["page"])

    @page.setter
    def page(self, page: str) -> None:
        self.progress["page"] = page

    @property
    def started_at(self) -> dt.datetime:
        return _instant(self.progress["started_at"])

    @property
    def until(self) -> dt.datetime:
        return _instant(self.progress["until"])

    def now(self) -> dt.datetime:
        """The time by the clock that the claim was made by."""
        return self.claimed.at + dt.timedelta(seconds=time.monotonic() - self.began)

    def count(self, records: Sequence[Record]) -> None:
        """Adds what the sink was given."""
        self._add("records", len(records))
        self._add("bytes", sum(len(orjson.dumps(record.data)) for record in records))
        times = [format_instant(record.time) for record in records if record.time is not None]
        self.progress["newest"] = max([self.progress.get("newest", ""), *times])

    def count_cpu(self) -> None:
        now = time.thread_time()
        self._add("cpu", int((now - self.began_cpu) * 1_000_000))
        self.began_cpu = now

    def _add(self, name: str, number: int) -> None:
        self.progress[name] = self.progress.get(name, 0) + number


def keep_progress(begun: Begun, *, problem: ProblemError, at: dt.datetime) -> None:
    """The end of an attempt that is not the last of its execution."""
    operation = _current(begun.claimed)
    if operation is None:
        return
    begun.count_cpu()
    if operation.revision == begun.operation.revision:
        operation.progress = begun.progress
    if operation.status == OperationStatus.PROCESSING:
        operation.status = OperationStatus.SCHEDULED
        operation.errors = [{"message": f"{problem.message}; tried again at {format_instant(at)}"}]
    operation.touch()
    operation.save()


def conclude_execution(begun: Begun, *, problem: ProblemError | None = None) -> None:
    """The end of an execution, with its history and the run that follows; in the transaction that ends its run."""
    begun.count_cpu()
    operation = _current(begun.claimed)
    if operation is None:
        problem = problem or ProblemError("the integration or its schedule was deleted meanwhile")
    _write(begun, problem)
    if operation is not None:
        _advance(operation, begun, problem)
        _follow_on(operation, begun, is_unfinished=problem is None and bool(begun.page))
    _announce(operation or begun.operation, begun, problem)


def go_on(claimed: Claim) -> None:
    """The end of a run that had nothing to do. If the operation was enabled meanwhile, the next run is up to it."""
    operation = _current(claimed)
    if operation is None or operation.status == OperationStatus.DISABLED or _is_waited_for(operation):
        return
    operation.status = OperationStatus.SCHEDULED
    operation.save(update_fields=["status"])
    enqueue(kind=KIND, subject_id=operation.id)


def _current(claimed: Claim) -> Operation | None:
    """The operation as it is now, locked; it may have changed or gone since the claim."""
    found = Operation.objects.unnarrowed().select_for_update(of=("self",)).filter(id=claimed.subject_id)
    current: Operation | None = found.first()
    return current


def _is_waited_for(operation: Operation) -> bool:
    return Run.objects.filter(kind=KIND, subject_id=operation.id, state=RunState.WAITING).exists()


def _write(begun: Begun, problem: ProblemError | None) -> None:
    """The history's row."""
    operation, progress, full = begun.operation, begun.progress, is_full(begun.operation.schedule)
    newest = progress.get("newest")
    ended = begun.now()
    final = _cursor(operation, begun.page) if problem or begun.page else format_instant(_reached(operation, begun))
    execution: Execution = Execution.in_scope(
        id=begun.claimed.run_id,
        operation_id=operation.id,
        account_id=operation.account_id,
        integration_id=operation.integration_id,
        integration_point_id=operation.integration_point_id,
        category=operation.category,
        operation=operation.operation,
        trigger_type=OperationTriggerType.SCHEDULED,
        trigger_source=operation.integration_point_id or operation.integration_id,
        status=OperationStatus.CANCELLED if problem else OperationStatus.COMPLETE,
        started_at=begun.started_at,
        completed_at=ended,
        duration=(ended - begun.started_at) // dt.timedelta(microseconds=1),
        records_processed=progress.get("records", 0),
        cpu_time=progress.get("cpu", 0),
        in_bytes=progress.get("bytes", 0),
        initial_cursor=None if full else _cursor(operation, progress.get("first", "")),
        final_cursor=None if full else final,
        cursor_advanced_to=None if full or not newest else _instant(newest),
        error=problem.message[:1024] if problem else None,
    )
    execution.save(force_insert=True)


def _advance(operation: Operation, begun: Begun, problem: ProblemError | None) -> None:
    """How far the operation has come. What was read in a way that it is no longer read in does not count."""
    progress = begun.progress
    operation.cpu_time += progress.get("cpu", 0)
    operation.in_bytes += progress.get("bytes", 0)
    if operation.revision == begun.operation.revision:
        is_open = bool(begun.page)
        operation.progress = {"until": progress["until"], "page": begun.page} if is_open else None
        if problem is None and not is_open:
            operation.since = _reached(operation, begun)
    if operation.status != OperationStatus.DISABLED:
        operation.status = OperationStatus.SCHEDULED
        operation.errors = [{"message": problem.message}] if problem else None
    operation.touch()
    operation.save()


def _follow_on(operation: Operation, begun: Begun, *, is_unfinished: bool) -> None:
    """The one run that follows: on time, or at once where there is more to read or the time has passed."""
    if operation.status == OperationStatus.DISABLED or _is_waited_for(operation):
        return
    at = next_start(operation.schedule, begun.started_at)
    enqueue(kind=KIND, subject_id=operation.id, at=begun.now() if is_unfinished else max(at, begun.now()))


def _announce(operation: Operation, begun: Begun, problem: ProblemError | None) -> None:
    """Tells of the end: the operation is the subject, and what is shown of it is its integration."""
    plan, integration = reader_of(IntegrationSerializer).plan, begun.operation.integration
    activity.record(
        activity.Activity(
            resource="operations",
            verb="complete",
            object_id=operation.id,
            token_id="",
            organization_id=begun.claimed.organization_id,
            refusal=problem,
            subject=operation,
            document=lambda: plan.document(integration),
        )
    )


def _reached(operation: Operation, begun: Begun) -> dt.datetime:
    """Up to which time all was read; never back, whatever the clock does."""
    return max(operation.since or begun.until, begun.until)


def _cursor(operation: Operation, page: str) -> str:
    """Where reading stands, in words: the time up to which all was read, and the page after which it goes on."""
    since = format_instant(operation.since) if operation.since else ""
    return f"{since},{page}"[:LONGEST_CURSOR] if page else since


def _instant(text: str) -> dt.datetime:
    found = read_instant(text)
    assert found is not None
    return found
