"""Slowing down whoever guesses: failures are counted per name and address, before the guess is looked at."""

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

# One statement decides: of attempts at the same time, each is counted before any of them is answered.
_TAKE = """
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
RETURNING failures
"""


class TooManyFailuresError(ProblemError):
    """Too many failed attempts for this name from this address. The wait doubles, up to a quarter of an hour."""

    status = 429
    slug = "too-many-failures"
    remedy = "Wait for as long as `Retry-After` says, then try again."


def attempt_key(*parts: str, address: str) -> bytes:
    """What failures are counted by."""
    return keyed_hash("\x00".join((*parts, address_subject(address))), purpose="logon attempt")


def take_attempt(key: bytes, *, now: int | None = None) -> None:
    """Counts an attempt as failed, until `forgive` takes it back; raises while the caller has to wait."""
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
        cursor.execute(_TAKE, values)
        counted = cursor.fetchone()
    if counted is None:
        until = LogonAttempt.objects.filter(key=key).values_list("blocked_until", flat=True).first() or now
        raise TooManyFailuresError(
            "too many failed attempts for this name from this address",
            headers={"Retry-After": str(max(1, until - now))},
        )


def forgive(key: bytes) -> None:
    """Forgets the failures of a caller who has proved to be who they say."""
    LogonAttempt.objects.filter(key=key).delete()


def prune_attempts(*, before: dt.datetime) -> int:
    """Deletes failures whose last one was before a time."""
    return delete_old(LogonAttempt, last_at__lt=int(before.timestamp()))
