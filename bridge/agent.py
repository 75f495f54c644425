"""The agent's work: ask for requests, send them to what it may reach, bring the answers back, tell how it is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bridge import VERSION
from bridge.reach import Reach
from bridge.service import GoneError, RevokedError, Service, ServiceError, TooLargeError, UnfitError
from core.errors import ProblemError, ProviderFailedError
from core.outbound import OutboundRequest, send
from core.outbound.relay import FrameError, pack_answer, pack_problem, unpack_request

log = logging.getLogger("bridge")
HEARTBEAT = 15.0  # seconds between two
IDLE, BUSY, STAYS_BUSY = 1.0, 0.1, 5.0  # seconds between two questions, and for how long after a request
FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0  # seconds, after the service has failed once and many times

UNFIT = ProviderFailedError("the provider's answer cannot be relayed: its headers are too long, or no text.")
TOO_LARGE = ProviderFailedError(
    "the provider's answer is too large to be relayed: the service, or a proxy in front of it, refused it with 413. "
    "A proxy must take bodies of 1217 KiB at /bridge/requests/."
)


@dataclasses.dataclass
class Counts:
    """What the agent has done since it started."""

    requests: int = 0
    failures: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

    def add(self, **more: int) -> None:
        with self.lock:
            for name, count in more.items():
                setattr(self, name, getattr(self, name) + count)

    def shown(self) -> dict[str, int]:
        with self.lock:
            names = ("requests", "failures", "in_bytes", "out_bytes")
            return {name: getattr(self, name) for name in names}


class Agent:
    """One run of an agent, until it is stopped or its credential ends."""

    def __init__(self, service: Service, reach: Reach, parallel: int) -> None:
        self.service, self.reach, self.parallel = service, reach, parallel
        self.counts, self.stopping = Counts(), threading.Event()
        self.free = threading.Semaphore(parallel)
        self.told_at = self.worked_at = -HEARTBEAT
        self.failures = 0

    def run(self) -> bool:
        """Works until it is stopped, which is True, or until the credential is not taken any more."""
        with ThreadPoolExecutor(self.parallel) as pool:
            while not self.stopping.is_set():
                try:
                    pause = self.step(pool)
                except RevokedError as error:
                    log.error("the credential is not taken any more: %s", error)  # noqa: TRY400 - no traceback is wanted
                    return False
                except ServiceError as error:
                    pause = self.back_off(error)
                self.stopping.wait(pause)
        return True

    def stop(self) -> None:
        """Takes nothing more; what is under way is brought to its end."""
        self.stopping.set()

    def step(self, pool: ThreadPoolExecutor) -> float:
        """Asks once and tells when it is time to. The seconds until the next step."""
        if not self.free.acquire(timeout=IDLE):
            return 0.0
        raw = None
        try:
            raw, seconds = self.service.take()
        finally:
            if raw is None:
                self.free.release()
        if raw is not None:
            pool.submit(self.handle, raw)
            self.worked_at = time.monotonic()
        if time.monotonic() - self.told_at >= HEARTBEAT:
            self.service.tell(self.status(seconds))
            self.told_at = time.monotonic()
        if self.failures:
            log.info("the service answers again")
            self.failures = 0
        if raw is not None:
            return 0.0
        return BUSY if time.monotonic() - self.worked_at < STAYS_BUSY else IDLE

    def back_off(self, error: ServiceError) -> float:
        """The seconds to wait: twice as long after each failure, by chance less, so that agents do not come in step."""
        self.failures += 1
        wait: float = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self.failures - 1, 10)) * random.uniform(0.5, 1.0)  # noqa: S311
        log.warning("%s; next try in %.1f s", error, wait)
        return wait

    def status(self, seconds: float) -> dict[str, Any]:
        return {
            "current_time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
            "response_duration": f"{max(1, round(seconds * 1000))}ms",
            "local_config": {"version": VERSION, "allow_addresses": self.reach.shown()},
            "local_stats": self.counts.shown(),
        }

    def handle(self, raw: bytes) -> None:
        """One request from beginning to end. An error here must not end the agent."""
        try:
            request_id, request = unpack_request(raw)
            until = time.monotonic() + request.limits.total
            try:
                self.bring(request_id, self.answer(request), until)
            except UnfitError as error:
                self.counts.add(failures=1)
                log.warning("an answer cannot be relayed: %s", error)
                problem = TOO_LARGE if isinstance(error, TooLargeError) else UNFIT
                self.bring(request_id, pack_problem(problem), until)
        except FrameError as error:
            self.counts.add(requests=1, failures=1)
            log.warning("a request of the service is not understood: %s; is the agent too old?", error)
        except Exception:
            self.counts.add(failures=1)
            log.exception("a request could not be handled")
        finally:
            self.free.release()

    def answer(self, request: OutboundRequest) -> bytes:
        """The provider's answer, or why there is none."""
        self.counts.add(requests=1, out_bytes=len(request.body))
        try:
            answer = send(request, self.reach.find_addresses)
        except ProblemError as problem:
            self.counts.add(failures=1)
            log.info("%s: %s", request.method, problem.message)
            return pack_problem(problem)
        self.counts.add(in_bytes=len(answer.body))
        return pack_answer(answer)

    def bring(self, request_id: str, raw: bytes, until: float) -> None:
        """Brings an answer, again and again if the service is away, as long as somebody may wait for it."""
        wait = FIRST_WAIT
        while True:
            try:
                return self.service.bring(request_id, raw)
            except UnfitError:
                raise
            except (GoneError, RevokedError) as error:
                log.info("an answer came too late: %s", error)
                return None
            except ServiceError as error:
                if time.monotonic() + wait > until:
                    log.warning("an answer could not be brought: %s", error)
                    return None
            time.sleep(wait)
