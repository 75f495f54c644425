"""What is recorded of an attempt: the execution, how far the operation has come, and the next run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time

from core import activity
from core.errors import ConflictError, ProblemError
from core.instants import format_instant
from core.ledger.models import Run, RunState
from core.ledger.services import Claim, enqueue
from core.reading import reader_of
from integrations.operations.history import Progress, reached, write_execution
from integrations.operations.models import Operation, OperationStatus
from integrations.operations.services import DELETED, KIND
from integrations.schedules import next_start
from integrations.serializers import IntegrationSerializer


@dataclasses.dataclass(slots=True)
class Begun:
    """An execution in hand: the claim, the operation as it was found, and what the execution has come to."""

    claimed: Claim
    operation: Operation
    progress: Progress
    began: float = dataclasses.field(default_factory=time.monotonic)
    began_cpu: float = dataclasses.field(default_factory=time.thread_time)

    def now(self) -> dt.datetime:
        """The time by the clock that the claim was made by."""
        return self.claimed.at + dt.timedelta(seconds=time.monotonic() - self.began)

    def count_cpu(self) -> None:
        now = time.thread_time()
        self.progress.count_cpu(int((now - self.began_cpu) * 1_000_000))
        self.began_cpu = now


def keep_progress(begun: Begun, *, problem: ProblemError, at: dt.datetime) -> None:
    """The end of an attempt that is not the last of its execution, unless there is nothing left to go on with."""
    operation = _current(begun.claimed)
    if operation is None:
        conclude_execution(begun)
        return
    begun.count_cpu()
    operation.progress = begun.progress.kept
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
        problem = problem or ConflictError(DELETED)
    write_execution(begun.operation, begun.progress, ended=begun.now(), problem=problem)
    if operation is not None:
        _advance(operation, begun.progress, problem)
        _follow_on(operation, begun, is_unfinished=problem is None and bool(begun.progress.page))
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


def _advance(operation: Operation, progress: Progress, problem: ProblemError | None) -> None:
    """How far the operation has come. What was read in a way that it is no longer read in does not count."""
    operation.cpu_time += progress.cpu_time
    operation.in_bytes += progress.in_bytes
    is_current = operation.revision == progress.revision
    is_open = is_current and bool(progress.page)
    operation.progress = {"until": progress.kept["until"], "page": progress.page} if is_open else None
    if problem is None and is_current and not is_open:
        operation.since = reached(progress, operation.since)
    if operation.status != OperationStatus.DISABLED:
        operation.status = OperationStatus.SCHEDULED
        operation.errors = [{"message": problem.message}] if problem else None
    operation.touch()
    operation.save()


def _follow_on(operation: Operation, begun: Begun, *, is_unfinished: bool) -> None:
    """The one run that follows: on time, or at once where there is more to read or the time has passed."""
    if operation.status == OperationStatus.DISABLED or _is_waited_for(operation):
        return
    at = next_start(operation.schedule, begun.progress.started_at)
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
