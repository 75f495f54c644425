"""Writing runs, claiming them and saying how they ended."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import operator
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from core.faults import reach
from core.ledger.bell import ring
from core.ledger.fairness import Room, choose
from core.ledger.models import Run, RunState, Worker
from core.pruning import delete_old
from core.tenancy import Scope, scoped, unscoped

LEASE = dt.timedelta(seconds=settings.RUN_LEASE)
HEARTBEAT = settings.RUN_LEASE / 4  # seconds
MOST_LAPSES = 5  # claims in a row that may come to nothing before a run is given up

_MOST_POSTPONED = 1000
_TRIES = 3  # to claim something while other workers are quicker
_EVERYBODYS = "a worker serves every organization"
# A run that somebody had until its lease ran out has lapsed: whoever it was may have died of it.
_LEASE = """
UPDATE core_run SET state = %s, due_at = %s, fence = fence + 1, worker_id = %s,
    lapses = lapses + CASE WHEN state = %s THEN 1 ELSE 0 END
WHERE id IN (SELECT id FROM core_run WHERE id IN ({places}) AND due_at <= %s {skip}) RETURNING *
"""


class LostClaimError(Exception):
    """Somebody else has the run by now, or it was cancelled: what this claim found out is not recorded."""


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """A run in hand since `at`. `attempt` is 1 for the first; `fence` is what makes this claim the only one.

    `lapses` are the claims before this one, in a row, that came to nothing.
    """

    run_id: str
    organization_id: str
    kind: str
    subject_id: str
    lane_id: str | None
    fence: int
    attempt: int
    lapses: int
    at: dt.datetime
    began: float = dataclasses.field(default_factory=time.monotonic)

    def now(self) -> dt.datetime:
        """The time by the clock that the claim was made by, which need not be asked again."""
        return self.at + dt.timedelta(seconds=time.monotonic() - self.began)


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a claim ended. `again` needs the time `at` of the next attempt.

    `record` writes what the work found out, in the transaction that concludes the run: both or neither. Where
    nothing was attempted, `is_attempt` is False and nothing is counted; `lapses` are those of a claim that broke off.
    What many of one kind `found` can be written in one go by `record_all`, instead of by the `record` of each.
    """

    state: Literal["done", "failed", "again"]
    at: dt.datetime | None = None
    error: str = ""
    record: Callable[[], object] | None = None
    is_attempt: bool = True
    lapses: int = 0
    found: Any = None
    record_all: Callable[[list[Any]], None] | None = None


def database_now() -> dt.datetime:
    """The one clock that all workers share."""
    if connection.vendor != "postgresql":
        return timezone.now()  # the database is a file of this machine
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: dt.datetime = cursor.fetchone()[0]
    return now


def enqueue(*, kind: str, subject_id: str, lane_id: str | None = None, at: dt.datetime | None = None) -> Run:
    """A run of the organization in scope, durable with the caller's transaction. Without a time it is due now."""
    run = Run.in_scope(kind=kind, subject_id=subject_id, lane_id=lane_id)
    run.due_at = at or run.created_at
    run.save(force_insert=True)
    if at is None or at <= run.created_at:
        transaction.on_commit(ring)
    return run


def enqueue_all(*, kind: str, subject_ids: Sequence[str], lane_id: str | None = None) -> None:
    """A run each, due now."""
    now = timezone.now()
    runs = [
        Run.in_scope(kind=kind, subject_id=each, lane_id=lane_id, due_at=now, created_at=now) for each in subject_ids
    ]
    Run.objects.bulk_create(runs, batch_size=500)
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


def recall(*, kind: str, subject_ids: Sequence[str]) -> set[str]:
    """Cancels what waits for subjects that the caller has locked. Gives those of which a worker has a run in hand.

    A run that is being claimed or concluded at this moment counts as in hand: waiting for it could end in a deadlock,
    and without its lock it might wait again unseen.
    """
    live = Run.objects.filter(kind=kind, subject_id__in=subject_ids, state__in=(RunState.WAITING, RunState.RUNNING))
    held = set(live.select_for_update(skip_locked=True).filter(state=RunState.WAITING).values_list("id", flat=True))
    busy = {subject_id for run_id, subject_id in live.values_list("id", "subject_id") if run_id not in held}
    cancel(kind=kind, subject_ids=[each for each in subject_ids if each not in busy])
    return busy


def claim(*, worker_id: str, most: int, now: dt.datetime, kinds: Collection[str]) -> list[Claim]:
    """The runs due first, at most so many, now leased to the worker."""
    hands = claim_hands(worker_id=worker_id, room=Room(most, each=most), now=now, kinds=kinds)
    return [claimed for hand in hands for claimed in hand]


def claim_hands(*, worker_id: str, room: Room, now: dt.datetime, kinds: Collection[str]) -> list[list[Claim]]:
    """What a worker has room for, now leased to it. A hand is a run, or several of one lane."""
    with unscoped(_EVERYBODYS):
        for _ in range(_TRIES):
            chosen = choose(room=room, now=now, kinds=kinds)
            if not chosen:
                return []
            taken = _lease([run_id for hand in chosen for run_id in hand], worker_id, now)
            if taken:
                hands = [[taken[run_id] for run_id in hand if run_id in taken] for hand in chosen]
                return [hand for hand in hands if hand]
    return []


def _lease(run_ids: list[str], worker_id: str, now: dt.datetime) -> dict[str, Claim]:
    """Takes those of the runs that nobody else has taken meanwhile."""
    skip = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    sql = _LEASE.format(places=", ".join(["%s"] * len(run_ids)), skip=skip)
    then, due_by = _instant(now + LEASE), _instant(now)
    taken = Run.objects.raw(sql, [RunState.RUNNING, then, worker_id, RunState.RUNNING, *run_ids, due_by])
    return {
        run.id: Claim(
            run_id=run.id,
            organization_id=run.organization_id,
            kind=run.kind,
            subject_id=run.subject_id,
            lane_id=run.lane_id,
            fence=run.fence,
            attempt=run.attempts + 1,
            lapses=run.lapses,
            at=now,
        )
        for run in taken
    }


def _instant(value: dt.datetime) -> Any:
    """A time as statements written by hand take it."""
    return Run._meta.get_field("due_at").get_db_prep_value(value, connection)


def give_back(claims: Sequence[Claim]) -> None:
    """Lets go of what was not begun: it is due as before."""
    with unscoped(_EVERYBODYS):
        _held(claims).update(state=RunState.WAITING, due_at=claims[0].at)


def _held(claims: Sequence[Claim]) -> QuerySet[Run, Run]:
    """The runs that are still in the hands of their claims."""
    by_claim = [Q(pk=each.run_id, fence=each.fence) for each in claims]
    return Run.objects.filter(functools.reduce(operator.or_, by_claim), state=RunState.RUNNING)


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
            attempts=claim.attempt - (not outcome.is_attempt),
            lapses=outcome.lapses if outcome.is_attempt else claim.lapses,
            error=outcome.error[:1024],
        )
        if not changed:
            raise LostClaimError(claim.run_id)
        if outcome.record is not None:
            outcome.record()
        reach("run-recorded")


def conclude_all(*, concluded: Sequence[tuple[Claim, Outcome]], now: dt.datetime) -> None:
    """Records several claims of one organization that are done and have one `record_all`: all of them or, if somebody
    else has one of the runs by now, none."""
    claims = [claimed for claimed, _ in concluded]
    record_all = concluded[0][1].record_all
    assert record_all is not None
    with scoped(Scope(claims[0].organization_id)), transaction.atomic():
        changed = _held(claims).update(
            state=RunState.DONE, due_at=None, finished_at=now, attempts=F("attempts") + 1, lapses=0, error=""
        )
        if changed < len(claims):
            raise LostClaimError(f"{len(claims) - changed} of {len(claims)}")
        record_all([outcome.found for _, outcome in concluded])
        reach("run-recorded")


def prune_runs(*, before: dt.datetime) -> int:
    """Deletes what ended before a time."""
    return delete_old(Run, finished_at__lt=before)


def prune_workers(*, before: dt.datetime) -> int:
    """Deletes what workers that died left of themselves."""
    return delete_old(Worker, seen_at__lt=before)
