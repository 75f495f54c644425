"""Slowing down whoever guesses: at a password per name and address, at a code per member.

A guess is looked at, then counted, and only then answered: of guesses at the same time no more are answered than
of those in a row, and a right one is never taken for a failure.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db import connection

from core.crypto.hashing import keyed_hash
from core.errors import ProblemError
from core.limits.policies import address_subject
from core.pruning import delete_old
from identity.sessions.models import LogonAttempt

FREE = 5  # failures in a row that cost no wait
FIRST_WAIT, LONGEST_WAIT = 4, 900  # seconds; each is twice the one before
FORGOTTEN_AFTER = 3600  # seconds without a failure

# One statement decides: of failures at the same time, each is counted before any of them is answered.
_COUNT = """
INSERT INTO identity_logonattempt AS kept (key, failures, last_at, blocked_until) VALUES (%(key)s, 1, %(now)s, 0)
ON CONFLICT (key) DO UPDATE SET
    failures = CASE WHEN kept.last_at < %(old)s THEN 1 ELSE kept.failures + 1 END,
    last_at = %(now)s,
    blocked_until = CASE
        WHEN kept.last_at < %(old)s OR kept.failures + 1 < %(free)s THEN 0
        WHEN kept.failures + 1 >= %(free)s + 8 THEN %(now)s + %(longest)s
        ELSE %(now)s + (%(first)s << (kept.failures + 1 - %(free)s))
    END
WHERE kept.blocked_until <= %(now)s
RETURNING 1
"""


class TooManyFailuresError(ProblemError):
    """Too many failures in a row: for a name from an address, or at a member's second factor.

    The wait doubles each time, up to a quarter of an hour.
    """

    status = 429
    slug = "too-many-failures"
    remedy = "Wait for as long as `Retry-After` says, then try again."


def attempt_key(*parts: str, address: str | None = None) -> bytes:
    """What failures are counted by, for one address or for all together."""
    subject = () if address is None else (address_subject(address),)
    return keyed_hash("\x00".join((*parts, *subject)), purpose="logon attempt")


def refuse_waiting(key: bytes, *, now: int | None = None) -> None:
    """Raises while the caller has to wait."""
    now = int(time.time()) if now is None else now
    if LogonAttempt.objects.filter(key=key, blocked_until__gt=now).exists():
        raise _refusal(key, now)


def count_failure(key: bytes, *, now: int | None = None) -> None:
    """Counts a wrong guess. Raises instead while the caller has to wait: nobody is told then that it was wrong."""
    now = int(time.time()) if now is None else now
    values: dict[str, bytes | int] = {
        "key": key,
        "now": now,
        "old": now - FORGOTTEN_AFTER,
        "free": FREE,
        "first": FIRST_WAIT,
        "longest": LONGEST_WAIT,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, values)
        counted = cursor.fetchone()
    if counted is None:
        raise _refusal(key, now)


def forgive(key: bytes, *, now: int | None = None) -> None:
    """Forgets the failures before a right guess. Raises instead while the caller has to wait."""
    now = int(time.time()) if now is None else now
    LogonAttempt.objects.filter(key=key, blocked_until__lte=now).delete()
    refuse_waiting(key, now=now)


def _refusal(key: bytes, now: int) -> TooManyFailuresError:
    until = LogonAttempt.objects.filter(key=key).values_list("blocked_until", flat=True).first() or now
    headers = {"Retry-After": str(max(1, until - now))}
    return TooManyFailuresError("too many failed attempts in a row", headers=headers)


def prune_attempts(*, before: dt.datetime) -> int:
    """Deletes failures whose last one was before a time."""
    return delete_old(LogonAttempt, last_at__lt=int(before.timestamp()))
