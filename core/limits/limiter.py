"""The limiter: permits leased from the shared counts, so that most requests ask nobody outside the process."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from hashlib import blake2b
from typing import NamedTuple

from django.conf import settings
from prometheus_client import Counter

from core.errors import TooManyRequestsError
from core.limits.counts import Counts, shared_counts
from core.limits.policies import Policy

REFUSALS = Counter("synqmgr_limit_refusals_total", "Requests refused by a limit.", ["policy"])
_LARGEST_BATCH = 64
_PART = 100  # what is left, divided by this, is a batch
_MOST_LEASES = 10_000
_ROUNDING = 0.001  # seconds that differences of times may be too long by


class Verdict(NamedTuple):
    """What a policy says of a request, and what it leaves its subject."""

    policy: Policy
    is_allowed: bool
    remaining: int
    seconds: int  # until the window ends

    def headers(self) -> dict[str, str]:
        """What the answer says of it: the IETF's structured fields, and what clients read before there were any."""
        name, limit, remaining = self.policy.name, self.policy.limit, self.remaining
        return {
            "RateLimit-Policy": f'"{name}";q={limit};w={self.policy.window}',
            "RateLimit": f'"{name}";r={remaining};t={self.seconds}',
            "X-RateLimit-Limit": str(limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": str(math.ceil(time.time()) + self.seconds),
        }


nearest: ContextVar[Verdict | None] = ContextVar("nearest", default=None)  # its end, of the request being answered


@dataclasses.dataclass(slots=True)
class Lease:
    """Permits of one window that this process has taken and not used."""

    left: int
    rest: int  # what was left for all processes when it was taken
    ends: float

    def take(self, policy: Policy, now: float) -> Verdict:
        is_allowed = self.left > 0
        self.left -= is_allowed
        seconds = max(1, math.ceil(self.ends - now - _ROUNDING))
        return Verdict(policy, is_allowed, self.left + self.rest, seconds)


class Limiter:
    """The leases of a process. Dropping one loses permits and never makes any.

    `lock` guards the leases and is held while no store is asked: whoever has a lease waits for nobody who has none.
    """

    def __init__(self, find_counts: Callable[[], Counts], clock: Callable[[], float] = time.monotonic) -> None:
        self.find_counts, self.clock = find_counts, clock
        self.counts: Counts | None = None  # found at the first request: before that it is not known where they are
        self.leases: OrderedDict[str, Lease] = OrderedDict()  # the longest unused first
        self.lock, self.asking = threading.Lock(), threading.Lock()

    def take(self, policy: Policy, subject: str) -> Verdict | None:
        """Takes one permit if there is one. None when nobody can say, which lets the request pass."""
        key = f"{policy.name} {subject}"
        verdict = self.spend(key, policy)
        if verdict is None:
            with self.asking:
                verdict = self.spend(key, policy) or self.renew(key, policy)  # another thread may have asked meanwhile
        return verdict

    def spend(self, key: str, policy: Policy) -> Verdict | None:
        """Takes a permit of the lease there is. None when a store must be asked."""
        with self.lock:
            now, lease = self.clock(), self.leases.get(key)
            if lease is None or lease.ends <= now or (lease.rest and not lease.left):
                return None
            self.leases.move_to_end(key)
            return lease.take(policy, now)

    def is_used_up(self, policy: Policy, subject: str) -> bool:
        """Whether it is known without asking that no permit is left."""
        with self.lock:
            lease = self.leases.get(f"{policy.name} {subject}")
            return lease is not None and lease.ends > self.clock() and not lease.left and not lease.rest

    def renew(self, key: str, policy: Policy) -> Verdict | None:
        """Takes a permit of a new lease: a hundredth of what is left, so one by one at the end.

        A small limit has no batches at all.
        """
        now, known = self.clock(), self.leases.get(key)
        rest = policy.limit if known is None or known.ends <= now else known.rest
        batch = min(_LARGEST_BATCH, max(1, rest // _PART))
        if self.counts is None:
            self.counts = self.find_counts()
        counted = self.counts.add(key, batch, policy.window)
        if counted is None:
            return None
        count, seconds = counted
        beyond = max(0, count - policy.limit)
        lease = Lease(max(0, batch - beyond), max(0, policy.limit - count), now + seconds)
        with self.lock:
            self.leases[key] = lease
            self.leases.move_to_end(key)
            if len(self.leases) > _MOST_LEASES:
                self.leases.popitem(last=False)
            return lease.take(policy, now)

    def close(self) -> None:
        with self.asking, self.lock:
            self.leases.clear()
            if self.counts is not None:
                self.counts.close()
                self.counts = None


limiter = Limiter(shared_counts)  # of this process


def take(policy_name: str, subject: str) -> Verdict | None:
    """Counts one request of a subject under a policy of `settings.LIMITS`, or refuses it with a 429.

    A subject is any text that tells callers apart. It is stored as it is, so it must not hold a secret. The answer's
    headers show the policy nearest its end. None when the policy is off, or when no store of counts answers.
    """
    policy: Policy = settings.LIMITS[policy_name]
    if not policy.limit:
        return None
    verdict = limiter.take(policy, _storable(subject))
    if verdict is None:
        return None
    known = nearest.get()
    if known is None or verdict.remaining < known.remaining or not verdict.is_allowed:
        nearest.set(verdict)
    if not verdict.is_allowed:
        REFUSALS.labels(policy_name).inc()
        raise TooManyRequestsError(
            f"the limit of {policy.limit} requests in {policy.window} seconds for this {policy.subject} is used up",
            headers={"Retry-After": str(verdict.seconds)},
        )
    return verdict


def refuse_used_up(policy_name: str, subject: str) -> None:
    """Refuses as `take` does, and counts nothing, where this process knows that the subject's limit is used up."""
    policy: Policy = settings.LIMITS[policy_name]
    if policy.limit and limiter.is_used_up(policy, _storable(subject)):
        take(policy_name, subject)


def _storable(subject: str) -> str:
    if len(subject) <= 100 and subject.isascii() and subject.isprintable():
        return subject
    return blake2b(subject.encode(errors="surrogatepass"), digest_size=16).hexdigest()  # such as a name somebody typed
