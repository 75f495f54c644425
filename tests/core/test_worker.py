"""The worker: what a lost connection, a fault of the heartbeat or an order to stop does to work in hand."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection, transaction

from core.columns import new_id
from core.ledger import performing, worker
from core.ledger.models import Run, RunState, Worker
from core.ledger.services import Claim, Outcome, enqueue, recall
from core.tenancy import scoped
from tests.api import Api
from tests.locks import locked_elsewhere

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 60.0  # for a busy machine
sessions: list[int] = []  # of the database, one each time the work was done
may_end = threading.Event()


def work(claimed: Claim) -> Outcome:
    """The kind "example": takes until the test says so, and notes which session it had."""
    Run.objects.filter(pk=claimed.run_id).exists()
    sessions.append(_session())
    assert may_end.wait(SECONDS)
    return Outcome("done")


def _session() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@pytest.fixture(autouse=True)
def _kind(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "RUN_KINDS", {"example": f"{__name__}.work"})
    performing.kinds.cache_clear()
    sessions.clear()
    may_end.set()
    yield
    may_end.set()
    performing.kinds.cache_clear()


@contextlib.contextmanager
def working(loop: worker.WorkerLoop) -> Iterator[list[int]]:
    """The loop in a thread; what it returned when it was stopped is in the list."""
    if connection.vendor != "postgresql":
        pytest.skip("the suite's SQLite is in memory, where threads lock each other out")
    returned: list[int] = []

    def run() -> None:
        returned.append(loop.run())
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield returned
    finally:
        loop.stop()
        may_end.set()
        thread.join(SECONDS)


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def is_done(run: Run) -> bool:
    run.refresh_from_db()
    return run.state == RunState.DONE


def enqueue_one(api: Api) -> Run:
    with scoped(api.scope):
        return enqueue(kind="example", subject_id=new_id())


def test_connection__lost_between_two_runs__costs_no_run(acme: Api) -> None:
    with working(worker.WorkerLoop(1)), scoped(acme.scope):
        first = enqueue_one(acme)
        until(lambda: is_done(first))
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("SELECT pg_terminate_backend(%s)", [sessions[-1]])
        second = enqueue_one(acme)
        until(lambda: is_done(second))
    assert (second.lapses, second.attempts, len(sessions)) == (0, 1, 2)


def test_connection__lost_while_the_work_is_done__loses_no_outcome(acme: Api) -> None:
    may_end.clear()
    with working(worker.WorkerLoop(1)), scoped(acme.scope):
        run = enqueue_one(acme)
        until(lambda: bool(sessions))
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("SELECT pg_terminate_backend(%s)", [sessions[-1]])
        may_end.set()
        until(lambda: is_done(run))
    assert (run.fence, run.attempts, len(sessions)) == (1, 1, 1)


def test_heartbeat__that_breaks__goes_on(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    beats: list[int] = []

    def extend(**_: object) -> None:
        beats.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(worker, "HEARTBEAT", 0.01)
    monkeypatch.setattr(worker, "extend", extend)
    heart = worker.Heart()
    heart.start()
    until(lambda: len(beats) > 2)
    heart.stop()
    assert not Worker.objects.exists()


def test_worker__told_to_stop__finishes_what_it_has_and_is_gone(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "HEARTBEAT", 0.01)
    may_end.clear()
    loop = worker.WorkerLoop(2)
    with working(loop) as returned, scoped(acme.scope):
        run = enqueue_one(acme)
        until(lambda: bool(sessions))
        loop.stop()
        late = enqueue_one(acme)
        may_end.set()
        until(lambda: bool(returned))
        assert is_done(run)
        assert not is_done(late)
    assert returned == [0]
    assert not Worker.objects.exists()


def test_worker__whose_work_does_not_end__stops_without_it(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "PATIENCE", 0.2)
    may_end.clear()
    loop = worker.WorkerLoop(2)
    with working(loop) as returned:
        enqueue_one(acme)
        until(lambda: bool(sessions))
        loop.stop()
        until(lambda: bool(returned))
        assert returned == [1]
        may_end.set()
        until(lambda: not loop.heart.in_hand())


def test_recall__of_a_run_that_another_transaction_holds__takes_it_for_in_hand(acme: Api) -> None:
    run = enqueue_one(acme)
    with scoped(acme.scope):
        with locked_elsewhere(run):
            assert recall_now(run) == {run.subject_id}
        assert recall_now(run) == set()
        run.refresh_from_db()
    assert run.state == RunState.CANCELLED


def recall_now(run: Run) -> set[str]:
    with transaction.atomic():
        return recall(kind="example", subject_ids=[run.subject_id])
