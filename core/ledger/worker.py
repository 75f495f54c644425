"""A worker: claims what is due, does it in threads, and keeps its claims alive."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import math
import os
import platform
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection
from django.utils.module_loading import import_string
from prometheus_client import Counter, Histogram

from core.columns import new_id
from core.faults import reach
from core.ledger.chores import look_after_chores
from core.ledger.fairness import Share
from core.ledger.models import Worker
from core.ledger.services import (
    HEARTBEAT,
    MOST_LAPSES,
    Claim,
    LostClaimError,
    Outcome,
    claim,
    conclude,
    database_now,
    extend,
)
from core.tenancy import Scope, scoped

log = structlog.get_logger("synqmgr.ledger")
RUNS = Counter("synqmgr_runs_total", "Runs that a claim ended.", ["kind", "outcome"])
DURATION = Histogram("synqmgr_run_duration_seconds", "Time that one attempt took, in seconds.", ["kind"])
PAUSE = 0.2  # seconds between two looks
PAUSE_AFTER_FAULT = 2.0
PATIENCE = 20.0  # seconds that work in hand may take after the worker was told to stop

RECORD_WITHIN = 45.0  # seconds to get an outcome recorded while the database does not answer

Work = Callable[[Claim], Outcome]
Clock = Callable[[], dt.datetime]


@functools.cache
def kinds() -> Mapping[str, Work]:
    """What does each kind of run: `settings.RUN_KINDS`."""
    return {kind: import_string(path) for kind, path in settings.RUN_KINDS.items()}


class Heart:
    """Keeps the claims of one process alive, and says that the process is."""

    def __init__(self) -> None:
        self.worker_id = new_id()
        self._in_hand: dict[str, Claim] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @contextlib.contextmanager
    def holding(self, claimed: Claim) -> Iterator[None]:
        """While this lasts, the claim is extended."""
        try:
            yield
        finally:
            with self._lock:
                self._in_hand.pop(claimed.run_id, None)

    def hold(self, claims: list[Claim]) -> None:
        with self._lock:
            self._in_hand.update({each.run_id: each for each in claims})

    def in_hand(self) -> list[Claim]:
        with self._lock:
            return list(self._in_hand.values())

    def start(self) -> None:
        self._thread.start()

    def _beat(self) -> None:
        worker = Worker(id=self.worker_id, host=platform.node()[:255], process_id=os.getpid())
        while True:
            try:
                worker.seen_at = database_now()
                worker.started_at = worker.started_at or worker.seen_at
                worker.save()
                extend(worker_id=self.worker_id, claims=self.in_hand(), now=worker.seen_at)
            except Error as error:
                log.warning("heartbeat_failed", error=_first_line(error))
            except Exception:
                log.exception("heartbeat_broke")
            close_old_connections()
            if self._stopping.wait(HEARTBEAT):
                return

    def stop(self) -> None:
        """No more beats: what is still in hand is left to others when its lease ends."""
        self._stopping.set()
        self._thread.join(HEARTBEAT)  # else a last beat would write the row again
        with contextlib.suppress(Error):  # what is left of a worker is deleted in time
            Worker.objects.filter(id=self.worker_id).delete()


def perform(claimed: Claim) -> str:
    """Does one claimed run and records how it ended, which it also returns."""
    started = time.perf_counter()
    reach("run-claimed")
    outcome = _work(claimed)
    reach("run-worked")
    try:
        ended = _record(claimed, outcome)
    except Exception:  # noqa: BLE001 - the handler logs it
        ended = _record(claimed, _broken(claimed))
    RUNS.labels(claimed.kind, ended).inc()
    DURATION.labels(claimed.kind).observe(time.perf_counter() - started)
    return ended


def _work(claimed: Claim) -> Outcome:
    """What the run comes to. A kind's own errors are outcomes; what it did not foresee is tried again."""
    try:
        if claimed.lapses >= MOST_LAPSES:
            return _given_up(claimed, f"{claimed.lapses} attempts in a row came to no end")
        with scoped(Scope(claimed.organization_id)):
            return kinds()[claimed.kind](claimed)
    except Exception as error:  # noqa: BLE001 - the handlers log it
        if isinstance(error, (OperationalError, InterfaceError)) and not connection.is_usable():
            return _put_off(claimed, error)
        return _broken(claimed)


def _put_off(claimed: Claim, error: Exception) -> Outcome:
    """After the connection to the database was lost, which says nothing about the work."""
    log.warning("run_put_off", run_id=claimed.run_id, error=_first_line(error))
    close_old_connections()
    at = claimed.now() + dt.timedelta(seconds=PAUSE_AFTER_FAULT)
    return Outcome("again", at=at, error="the connection to the database was lost", is_attempt=False)


def _given_up(claimed: Claim, error: str) -> Outcome:
    """The end of a run that nobody could do. A kind with a `give_up` says what is recorded of it."""
    give_up: Callable[[Claim, str], Outcome] | None = getattr(kinds()[claimed.kind], "give_up", None)
    if give_up is None:
        return Outcome("failed", error=error)
    with scoped(Scope(claimed.organization_id)):
        return give_up(claimed, error)


def _broken(claimed: Claim) -> Outcome:
    """After an error that the kind did not foresee, which is being handled: with growing pauses, a few times."""
    log.exception("run_broke", kind=claimed.kind, run_id=claimed.run_id, subject_id=claimed.subject_id)
    error, lapses = "the work broke off; the service's log has the reason", claimed.lapses + 1
    if lapses >= MOST_LAPSES:
        return _given_up(claimed, error)
    at = claimed.now() + dt.timedelta(seconds=10 * 4**claimed.lapses)
    return Outcome("again", at=at, error=error, lapses=lapses)


def _record(claimed: Claim, outcome: Outcome) -> str:
    """Records what was done even if the database is away for a while: what was done is not to be done again."""
    until = time.monotonic() + RECORD_WITHIN
    while True:
        try:
            conclude(claim=claimed, outcome=outcome, now=claimed.now())
        except LostClaimError:
            return "lost"
        except (OperationalError, InterfaceError) as error:
            log.warning("outcome_not_recorded", run_id=claimed.run_id, error=_first_line(error))
            if time.monotonic() > until:
                return "lost"  # the lease runs out, and another worker tries
            close_old_connections()
            time.sleep(0.5)
        else:
            reach("run-concluded")
            return outcome.state


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def work_until_idle(
    heart: Heart, clock: Clock = database_now, *, stopping: threading.Event | None = None, within: float = math.inf
) -> int:
    """Does what is due, here and now, one after the other: all of it, or what can be begun within so many seconds.

    Returns how much it was.
    """
    done, until = 0, time.monotonic() + within
    while time.monotonic() < until and not (stopping and stopping.is_set()):
        taken = claim(worker_id=heart.worker_id, most=1, now=clock(), kinds=kinds().keys())
        if not taken:
            break
        heart.hold(taken)
        with heart.holding(taken[0]):
            perform(taken[0])
        done += 1
    return done


class WorkerLoop:
    """What one process of `manage.py run_worker` does."""

    def __init__(self, threads: int) -> None:
        self.heart, self.threads, self.stopping = Heart(), threads, threading.Event()
        self.is_freed = threading.Event()  # a thread is done, so another look may be worth it

    def stop(self) -> None:
        """No more claims; what is in hand is finished."""
        self.stopping.set()
        self.is_freed.set()

    def run(self) -> int:
        """Works until told to stop. Returns how many runs were not finished in time, whose threads go on."""
        self.heart.start()
        threading.Thread(target=look_after_chores, args=[self.stopping], name="chores", daemon=True).start()
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="work")
        while not self.stopping.is_set():
            self.is_freed.wait(self._look(pool))
            self.is_freed.clear()
        until = time.monotonic() + PATIENCE
        while self.heart.in_hand() and time.monotonic() < until:
            time.sleep(0.05)
        left = len(self.heart.in_hand())
        pool.shutdown(wait=False)
        self.heart.stop()
        log.info("worker_stopped", worker_id=self.heart.worker_id, left=left)
        return left

    def _look(self, pool: ThreadPoolExecutor) -> float:
        """Hands what is due to free threads. Returns how long to wait before the next look."""
        in_hand = self.heart.in_hand()
        spare = self.threads - len(in_hand)
        if spare <= 0:
            return PAUSE
        # One organization's slow receivers must not take every thread: it has half of them at most.
        share = Share(max(1, self.threads // 2), Tally(each.organization_id for each in in_hand))
        try:
            taken = claim(
                worker_id=self.heart.worker_id, most=spare, now=database_now(), kinds=kinds().keys(), share=share
            )
        except Error as error:
            log.warning("worker_cannot_claim", error=_first_line(error))
            close_old_connections()
            return PAUSE_AFTER_FAULT
        self.heart.hold(taken)
        for each in taken:
            pool.submit(self._perform, each)
        return 0 if taken else PAUSE

    def _perform(self, claimed: Claim) -> None:
        try:
            with self.heart.holding(claimed):
                perform(claimed)
        except Exception:
            log.exception("run_left", run_id=claimed.run_id)  # until its lease runs out
        finally:
            close_old_connections()
            self.is_freed.set()
