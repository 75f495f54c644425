"""Slow receivers: one of them keeps one thread of a worker busy, not all that its organization may have."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator

SLOW = 2.0  # seconds of an attempt
MOST_REMEMBERED = 10_000

_lock = threading.Lock()
_in_hand: Counter[str] = Counter()
_slow: dict[str, None] = {}  # webhooks whose last attempt was slow, the oldest first


@contextlib.contextmanager
def lane(webhook_id: str) -> Iterator[bool]:
    """Whether there is a place for another attempt; while this lasts, it is taken."""
    with _lock:
        is_free = not (webhook_id in _slow and _in_hand[webhook_id])
        if is_free:
            _in_hand[webhook_id] += 1
    if not is_free:
        yield False
        return
    started = time.monotonic()
    try:
        yield True
    finally:
        _leave(webhook_id, time.monotonic() - started)


def _leave(webhook_id: str, seconds: float) -> None:
    with _lock:
        _in_hand[webhook_id] -= 1
        if not _in_hand[webhook_id]:
            del _in_hand[webhook_id]
        _slow.pop(webhook_id, None)
        if seconds >= SLOW:
            _slow[webhook_id] = None
        if len(_slow) > MOST_REMEMBERED:
            _slow.pop(next(iter(_slow)))
