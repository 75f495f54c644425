"""Writing runs, claiming them and saying how they ended."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from core.faults import reach
from core.ledger.bell import ring
from core.ledger.models import Run, RunState, Worker
from core.pruning import delete_old
from core.tenancy import Scope, scoped, unscoped

LEASE = dt.timedelta(seconds=settings.RUN_LEASE)
HEARTBEAT = settings.RUN_LEASE / 4  # seconds
MOST_LAPSES = 5  # workers that may die of one run before it is given up

_MOST_POSTPONED = 1000
_EVERYBODYS = "a worker serves every organization"


class LostClaimError(Exception):
    """Somebody else has the run by now, or it was cancelled: what this claim found out is not recorded."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A run in hand since `at`. `attempt` is 1 for the first; `fence` is what makes this claim the only one."""

    run_id: str
    organization_id: str
    kind: str
    subject_id: str
    fence: int
    attempt: int
    at: dt.datetime

    @property
    def lapses(self) -> int:
        """How many claims before this one ended without a word."""
        return self.fence - self.attempt


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a claim ended. `again` needs the time `at` of the next attempt.

    `record` writes what the work found out, in the transaction that concludes the run: both or neither.
    """

    state: Literal["done", "failed", "again"]
    at: dt.datetime | None = None
    error: str = ""
    record: Callable[[], None] | None = None


def database_now() -> dt.datetime:
    """The one clock that all workers share."""
    if connection.vendor != "postgresql":
        return timezone.now()  # the database is a file of this machine
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now


def enqueue(*, kind: str, subject_id: str, at: dt.datetime | None = None) -> Run:
    """A run of the organization in scope, durable with the caller's transaction. Without a time it is due now."""
    run = Run.in_scope(kind=kind, subject_id=subject_id)
    run.due_at = at or run.created_at
    run.save(force_insert=True)
    if at is None or at <= run.created_at:
        transaction.on_commit(ring)
    return run


def enqueue_all(*, kind: str, subject_ids: Sequence[str]) -> None:
    """A run each, due now."""
    now = timezone.now()
    Run.objects.bulk_create(
        [Run.in_scope(kind=kind, subject_id=each, due_at=now, created_at=now) for each in subject_ids], batch_size=500
    )
    transaction.on_commit(ring)


def cancel(*, kind: str, subject_ids: Sequence[str] | QuerySet[Any, Any]) -> int:
    """Ends what waits for subjects that are gone. What runs just now ends as it ends."""
    return _cancel(Run.objects.filter(kind=kind, subject_id__in=subject_ids))


def cancel_all() -> int:
    """Ends whatever waits in the organization in scope, which is about to be deleted."""
    return _cancel(Run.objects.all())


def _cancel(runs: QuerySet[Run]) -> int:
    waiting = runs.filter(state=RunState.WAITING)
    return waiting.update(state=RunState.CANCELLED, due_at=None, finished_at=timezone.now())


def postpone(*, kind: str, subject_ids: QuerySet[Any, Any], now: dt.datetime, until: dt.datetime) -> None:
    """Puts off what is due of these subjects. What others hold just now is left to them."""
    due = Run.objects.filter(kind=kind, state=RunState.WAITING, due_at__lte=now, subject_id__in=subject_ids)
    with transaction.atomic():
        held = due.order_by("id").select_for_update(skip_locked=True).values_list("id", flat=True)
        Run.objects.filter(pk__in=list(held[:_MOST_POSTPONED]), state=RunState.WAITING).update(due_at=until)


def claim(
    *, worker_id: str, most: int, now: dt.datetime, kinds: Collection[str], busy: Collection[str] = ()
) -> list[Claim]:
    """The runs due first, at most so many, now leased to the worker. `busy` organizations must wait."""
    with unscoped(_EVERYBODYS):
        due = Run.objects.filter(due_at__lte=now, kind__in=kinds)
        due = (due.exclude(organization_id__in=list(busy)) if busy else due).order_by("due_at", "id")
        if not due.exists():  # a look takes no lock
            return []
        with transaction.atomic():
            taken = list(due.select_for_update(skip_locked=True)[:most])
            Run.objects.filter(pk__in=[run.id for run in taken]).update(
                state=RunState.RUNNING, due_at=now + LEASE, fence=F("fence") + 1, worker_id=worker_id
            )
    return [
        Claim(run.id, run.organization_id, run.kind, run.subject_id, run.fence + 1, run.attempts + 1, now)
        for run in taken
    ]


def extend(*, worker_id: str, claims: Collection[Claim], now: dt.datetime) -> None:
    """The heartbeat: what a worker still works on stays its own for another lease."""
    with unscoped(_EVERYBODYS):
        for each in claims:
            mine = Run.objects.filter(pk=each.run_id, worker_id=worker_id, fence=each.fence, state=RunState.RUNNING)
            mine.update(due_at=now + LEASE)


def conclude(*, claim: Claim, outcome: Outcome, now: dt.datetime) -> None:
    """Records the end of a claim, or raises `LostClaimError` and records nothing."""
    ended = outcome.state != "again"
    with scoped(Scope(claim.organization_id)), transaction.atomic():
        mine = Run.objects.filter(pk=claim.run_id, fence=claim.fence, state=RunState.RUNNING)
        changed = mine.update(
            state=outcome.state if ended else RunState.WAITING,
            due_at=None if ended else outcome.at,
            finished_at=now if ended else None,
            attempts=claim.attempt,
            error=outcome.error[:1024],
        )
        if not changed:
            raise LostClaimError(claim.run_id)
        if outcome.record is not None:
            outcome.record()
        reach("run-recorded")


def prune_runs(*, before: dt.datetime) -> int:
    """Deletes what ended before a time."""
    return delete_old(Run, finished_at__lt=before)


def prune_workers(*, before: dt.datetime) -> int:
    """Deletes what workers that died left of themselves."""
    return delete_old(Worker, seen_at__lt=before)
