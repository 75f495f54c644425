"""A worker: claims what is due, does it in threads, and keeps its claims alive."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from django.db import Error, close_old_connections, connection

from core.columns import new_id
from core.ledger.bell import listen
from core.ledger.chores import look_after_chores
from core.ledger.fairness import Room
from core.ledger.models import Worker
from core.ledger.performing import PAUSE_AFTER_FAULT, first_line, kinds, perform_hand
from core.ledger.services import HEARTBEAT, Claim, claim_hands, database_now, extend

log = structlog.get_logger("synqmgr.ledger")
PAUSE = 0.2  # seconds between two looks
SHORT_PAUSE = 0.05  # where nobody rings
PATIENCE = 20.0  # seconds that work in hand may take after the worker was told to stop
HAND = 16  # runs of one lane that a thread takes at once

Clock = Callable[[], dt.datetime]


class Heart:
    """Keeps the claims of one process alive, and says that the process is."""

    def __init__(self) -> None:
        self.worker_id = new_id()
        self._in_hand: dict[str, Claim] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @contextlib.contextmanager
    def holding(self, hand: Sequence[Claim]) -> Iterator[None]:
        """While this lasts, the claims are extended."""
        try:
            yield
        finally:
            with self._lock:
                for each in hand:
                    if self._in_hand.get(each.run_id) is each:  # what was given back may be in hand again
                        del self._in_hand[each.run_id]

    def hold(self, claims: Sequence[Claim]) -> None:
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
                log.warning("heartbeat_failed", error=first_line(error))
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


def work_until_idle(
    heart: Heart,
    clock: Clock = database_now,
    *,
    size: int = 1,
    within: float = math.inf,
    stopping: threading.Event | None = None,
) -> int:
    """Does what is due, here and now, one after the other: all of it, or what can be begun within so many seconds.

    Returns how many runs it claimed.
    """
    done, until = 0, time.monotonic() + within
    while time.monotonic() < until and not (stopping and stopping.is_set()):
        room = Room(1, each=1, size=size)
        hands = claim_hands(worker_id=heart.worker_id, room=room, now=clock(), kinds=kinds().keys())
        if not hands:
            break
        heart.hold(hands[0])
        with heart.holding(hands[0]):
            perform_hand(hands[0])
        done += len(hands[0])
    return done


class WorkerLoop:
    """What one process of `manage.py run_worker` does."""

    def __init__(self, threads: int) -> None:
        self.heart, self.threads, self.stopping = Heart(), threads, threading.Event()
        self._hands: dict[str, str] = {}  # first run of each hand -> organization
        self.is_freed = threading.Event()  # a thread is done, or the bell rang: another look may be worth it
        self._is_woken = connection.vendor == "postgresql"

    def stop(self) -> None:
        """No more claims; what is in hand is finished."""
        self.stopping.set()
        self.is_freed.set()

    def run(self) -> int:
        """Works until told to stop. Returns how many runs were not finished in time, whose threads go on."""
        self.heart.start()
        threading.Thread(target=look_after_chores, args=[self.stopping], name="chores", daemon=True).start()
        if self._is_woken:
            threading.Thread(target=listen, args=[self.is_freed.set, self.stopping], name="bell", daemon=True).start()
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
        in_hand = Counter(list(self._hands.values()))
        spare = self.threads - in_hand.total()
        if spare <= 0:
            return PAUSE
        # One organization's slow receivers must not take every thread: it has half of them at most.
        room = Room(spare, each=max(1, self.threads // 2), size=HAND, in_hand=in_hand)
        try:
            hands = claim_hands(worker_id=self.heart.worker_id, room=room, now=database_now(), kinds=kinds().keys())
        except Error as error:
            log.warning("worker_cannot_claim", error=first_line(error))
            close_old_connections()
            return PAUSE_AFTER_FAULT
        for hand in hands:
            self.heart.hold(hand)
            self._hands[hand[0].run_id] = hand[0].organization_id
            pool.submit(self._perform, hand)
        return 0 if hands else PAUSE if self._is_woken else SHORT_PAUSE

    def _perform(self, hand: list[Claim]) -> None:
        try:
            with self.heart.holding(hand):
                perform_hand(hand)
        except Exception:
            log.exception("runs_left", run_ids=[each.run_id for each in hand])  # until their lease runs out
        finally:
            close_old_connections()
            self._hands.pop(hand[0].run_id, None)
            self.is_freed.set()
