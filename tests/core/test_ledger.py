"""The run ledger: who may claim what, who may conclude it, and what becomes of work whose worker is gone."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Generator, Iterator, Sequence
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from core.columns import new_id
from core.ledger import performing, worker
from core.ledger.fairness import LOOK, Room
from core.ledger.models import Run, RunState
from core.ledger.services import (
    LEASE,
    MOST_LAPSES,
    Claim,
    LostClaimError,
    Outcome,
    cancel,
    claim,
    claim_hands,
    conclude,
    enqueue,
    enqueue_all,
    extend,
    prune_runs,
    recall,
)
from core.tenancy import scoped
from tests.api import Api

outcomes: list[Any] = []  # of the kind "example", first to last
worked: list[Claim] = []


def work(claimed: Claim) -> Outcome:
    """The kind "example": does what the test says."""
    worked.append(claimed)
    outcome = outcomes.pop(0)
    if isinstance(outcome, Exception):
        raise outcome
    assert isinstance(outcome, Outcome)
    return outcome


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "RUN_KINDS", {"example": f"{__name__}.work"})
    performing.kinds.cache_clear()
    outcomes.clear()
    worked.clear()
    yield
    performing.kinds.cache_clear()


def claimed_at(now: dt.datetime, most: int = 10) -> list[Claim]:
    return claim(worker_id=new_id(), most=most, now=now, kinds=["example"])


def hands_at(now: dt.datetime, room: Room) -> list[list[Claim]]:
    return claim_hands(worker_id=new_id(), room=room, now=now, kinds=["example"])


def run_until_idle(now: dt.datetime) -> int:
    return worker.work_until_idle(worker.Heart(), lambda: now)


def test_claim__twice__gives_a_run_once(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    (taken,) = claimed_at(now)
    assert (taken.run_id, taken.fence, taken.attempt, taken.lapses) == (run.id, 1, 1, 0)
    assert claimed_at(now) == []
    assert claimed_at(now + LEASE - dt.timedelta(seconds=1)) == []


def test_claim__before_its_time__gives_nothing(in_acme: None) -> None:
    now = timezone.now()
    enqueue(kind="example", subject_id=new_id(), at=now + dt.timedelta(minutes=5))
    assert claimed_at(now) == []
    assert len(claimed_at(now + dt.timedelta(minutes=5))) == 1


def test_claim__of_a_kind_unknown_here__is_left_for_others(in_acme: None) -> None:
    enqueue(kind="other", subject_id=new_id())
    assert claimed_at(timezone.now()) == []


def test_claim__of_one_organization__takes_no_more_than_its_share(acme: Api, globex: Api) -> None:
    for api in (acme, globex):
        with scoped(api.scope):
            enqueue_all(kind="example", subject_ids=[new_id() for _ in range(9)])
    room = Room(10, each=4, in_hand={acme.id: 3, globex.id: 5})
    assert [c.organization_id for (c,) in hands_at(timezone.now(), room)] == [acme.id]
    assert len(hands_at(timezone.now(), Room(10, each=4))) == 8
    assert len(hands_at(timezone.now(), Room(5, each=4))) == 5


def test_claim__behind_many_runs_of_an_organization_that_has_its_share__finds_the_others(
    acme: Api, globex: Api
) -> None:
    now = timezone.now()
    with scoped(acme.scope):
        enqueue_all(kind="example", subject_ids=[new_id() for _ in range(LOOK + 1)])
    with scoped(globex.scope):
        enqueue(kind="example", subject_id=new_id(), at=now + dt.timedelta(hours=2))
        enqueue(kind="example", subject_id=new_id(), at=now + dt.timedelta(hours=1))
    full, hour = Room(4, each=1, in_hand={acme.id: 1}), dt.timedelta(hours=1)
    assert hands_at(now + dt.timedelta(minutes=1), full) == []
    assert [c.organization_id for (c,) in hands_at(now + hour, full)] == [globex.id]
    assert [c.organization_id for (c,) in hands_at(now + hour, Room(4, each=1))] == [acme.id]


def test_claim__of_hands__spreads_a_lane_over_the_threads(in_acme: None) -> None:
    lane, now = new_id(), timezone.now()
    lapsed = enqueue(kind="example", subject_id=new_id(), lane_id=lane)
    Run.objects.filter(pk=lapsed.id).update(lapses=1)
    enqueue_all(kind="example", subject_ids=[new_id() for _ in range(7)], lane_id=lane)
    enqueue_all(kind="example", subject_ids=[new_id() for _ in range(2)])
    hands = hands_at(timezone.now(), Room(8, each=3, size=3))
    assert [len(hand) for hand in hands] == [1, 3, 3]  # what has lapsed before is alone
    assert {each.lane_id for hand in hands for each in hand} == {lane}
    assert [len(hand) for hand in hands_at(now + LEASE * 2, Room(8, each=8, size=3))] == [1] * 8


def test_lease__run_out__goes_to_another_whose_fence_is_higher(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    (dead,) = claimed_at(now)
    (alive,) = claimed_at(now + LEASE)
    assert (alive.fence, alive.attempt, alive.lapses) == (2, 1, 1)
    with pytest.raises(LostClaimError):
        conclude(claim=dead, outcome=Outcome("done", record=lambda: pytest.fail("recorded")), now=now)
    conclude(claim=alive, outcome=Outcome("done"), now=now)
    run.refresh_from_db()
    assert (run.state, run.due_at, run.attempts, run.fence) == (RunState.DONE, None, 1, 2)
    with pytest.raises(LostClaimError):
        conclude(claim=alive, outcome=Outcome("failed"), now=now)


def test_heartbeat__of_the_holder_only__keeps_the_claim(in_acme: None) -> None:
    enqueue(kind="example", subject_id=new_id())
    now, mine = timezone.now(), new_id()
    held = claim(worker_id=mine, most=1, now=now, kinds=["example"])
    later = now + LEASE - dt.timedelta(seconds=1)
    extend(worker_id=new_id(), claims=held, now=later)
    extend(worker_id=mine, claims=held, now=later)
    assert claimed_at(now + LEASE) == []
    assert len(claimed_at(later + LEASE)) == 1


def test_outcome__whose_record_fails__leaves_the_run_claimed(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    (taken,) = claimed_at(timezone.now())

    def fail() -> None:
        Run.objects.filter(pk=run.id).update(error="must not stay")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        conclude(claim=taken, outcome=Outcome("done", record=fail), now=timezone.now())
    run.refresh_from_db()
    assert (run.state, run.error) == (RunState.RUNNING, "")


def test_work__asked_for_again__waits_until_then(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    outcomes.extend([Outcome("again", at=now + dt.timedelta(hours=1), error="not there"), Outcome("done")])
    assert run_until_idle(now) == 1
    run.refresh_from_db()
    assert (run.state, run.attempts, run.error) == (RunState.WAITING, 1, "not there")
    assert run_until_idle(now + dt.timedelta(hours=1)) == 1
    assert [c.attempt for c in worked] == [1, 2]
    run.refresh_from_db()
    assert (run.state, run.attempts) == (RunState.DONE, 2)


def test_work__when_told_to_stop_or_out_of_time__is_not_begun(in_acme: None) -> None:
    enqueue(kind="example", subject_id=new_id())
    stopping = threading.Event()
    stopping.set()
    assert worker.work_until_idle(worker.Heart(), timezone.now, stopping=stopping) == 0
    assert worker.work_until_idle(worker.Heart(), timezone.now, within=0) == 0
    assert worked == []


def test_work__that_breaks__is_tried_a_few_times_and_fails(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    outcomes.extend(ZeroDivisionError() for _ in range(MOST_LAPSES))
    for _ in range(MOST_LAPSES + 2):
        run_until_idle(now)
        now += dt.timedelta(days=1)
    run.refresh_from_db()
    assert (run.state, run.attempts, len(worked)) == (RunState.FAILED, MOST_LAPSES, MOST_LAPSES)


def test_work__that_kills_its_workers__is_given_up(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    for _ in range(MOST_LAPSES):
        assert len(claimed_at(now)) == 1
        now += LEASE
    assert run_until_idle(now) == 1
    run.refresh_from_db()
    assert (run.state, worked) == (RunState.FAILED, [])


def test_work__that_breaks_after_many_regular_attempts__is_tried_again(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    outcomes.extend(Outcome("again", at=now, error="503") for _ in range(2 * MOST_LAPSES))
    outcomes.append(OperationalError("database is locked"))
    outcomes.append(Outcome("again", at=now + dt.timedelta(days=1)))
    assert run_until_idle(now) == 2 * MOST_LAPSES + 1
    run.refresh_from_db()
    assert (run.state, run.lapses) == (RunState.WAITING, 1)
    assert run_until_idle(now + dt.timedelta(minutes=1)) == 1
    run.refresh_from_db()
    assert (run.state, run.lapses, run.attempts) == (RunState.WAITING, 0, 2 * MOST_LAPSES + 2)


def test_work__whose_workers_die_now_and_then__goes_on(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    for _ in range(MOST_LAPSES):
        assert len(claimed_at(now)) == 1
        now += LEASE
        outcomes.append(Outcome("again", at=now))
        assert run_until_idle(now - dt.timedelta(seconds=1)) == 0
        (taken,) = claimed_at(now)
        assert (taken.lapses, performing.perform(taken)) == (1, "again")
    run.refresh_from_db()
    assert (run.state, run.lapses, run.fence) == (RunState.WAITING, 0, 2 * MOST_LAPSES)


def test_work__put_off__counts_as_no_attempt_and_forgives_none(in_acme: None) -> None:
    run = enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    assert len(claimed_at(now)) == 1
    outcomes.append(Outcome("again", at=now + 2 * LEASE, is_attempt=False))
    assert run_until_idle(now + LEASE) == 1
    run.refresh_from_db()
    assert (run.state, run.attempts, run.lapses) == (RunState.WAITING, 0, 1)


def test_work__runs_in_the_scope_of_its_organization__and_no_other(acme: Api, globex: Api) -> None:
    with scoped(globex.scope):
        enqueue(kind="example", subject_id=new_id())
    with scoped(acme.scope):
        seen: list[int] = []
        outcomes.append(Outcome("done", record=lambda: seen.append(Run.objects.count())))
        assert run_until_idle(timezone.now()) == 1
        assert seen == [1]
        assert Run.objects.count() == 0


@pytest.mark.parametrize("within, states", [(60.0, ["done"] * 3), (-1.0, ["done", "waiting", "waiting"])])
def test_hand__that_breaks_while_it_is_closed__is_recorded_as_it_ended(
    in_acme: None, monkeypatch: pytest.MonkeyPatch, within: float, states: list[str]
) -> None:
    def each_of(hand: Sequence[Claim]) -> Generator[Outcome]:
        try:
            yield from (Outcome("done") for _ in hand)
        finally:
            raise ZeroDivisionError

    monkeypatch.setattr(work, "each_of", each_of, raising=False)
    monkeypatch.setattr(performing, "HAND_WITHIN", within)
    enqueue_all(kind="example", subject_ids=[new_id() for _ in states], lane_id=new_id())
    (hand,) = hands_at(timezone.now(), Room(1, each=1, size=3))
    performing.perform_hand(hand)
    ended = Run.objects.order_by("id").values_list("state", "lapses")
    assert list(ended) == [(state, 0) for state in states]


def test_cancel__what_waits__ends_it(in_acme: None) -> None:
    subject = new_id()
    enqueue(kind="example", subject_id=subject)
    assert cancel(kind="example", subject_ids=[subject]) == 1
    assert claimed_at(timezone.now()) == []
    assert Run.objects.get().state == RunState.CANCELLED


def test_prune__deletes_what_ended__and_nothing_else(in_acme: None) -> None:
    enqueue(kind="example", subject_id=new_id())
    now = timezone.now()
    outcomes.append(Outcome("done"))
    run_until_idle(now)
    enqueue(kind="example", subject_id=new_id())
    assert prune_runs(before=now - dt.timedelta(days=1)) == 0
    assert prune_runs(before=now + dt.timedelta(days=1)) == 1
    assert Run.objects.get().state == RunState.WAITING


def test_recall__cancels_what_waits__and_names_what_is_in_hand(in_acme: None) -> None:
    held, waiting, other = new_id(), new_id(), new_id()
    enqueue(kind="example", subject_id=held)
    (taken,) = claimed_at(timezone.now())
    for subject in (waiting, other):
        enqueue(kind="example", subject_id=subject)
    assert recall(kind="example", subject_ids=[held, waiting]) == {held}
    states = dict(Run.objects.values_list("subject_id", "state"))
    assert states == {held: RunState.RUNNING, waiting: RunState.CANCELLED, other: RunState.WAITING}
    conclude(claim=taken, outcome=Outcome("done"), now=timezone.now())
    assert recall(kind="example", subject_ids=[held]) == set()
