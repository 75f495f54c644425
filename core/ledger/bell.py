"""The doorbell: tells waiting workers that there is something to do. A ring that is lost costs time, never work."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.utils.module_loading import import_string

QUIET = 5.0  # seconds without a ring after one that failed, which takes its caller's time
_quiet_until = 0.0
log = structlog.get_logger("synqmgr.ledger")


@functools.cache
def _bell() -> Callable[[], None] | None:
    if not settings.DOORBELL:
        return None  # workers look for themselves, several times a second
    bell: Callable[[], None] = import_string(settings.DOORBELL)
    return bell


def ring() -> None:
    """Wakes a worker by whatever the settings name. While the bell is broken it is left alone for a while."""
    global _quiet_until  # noqa: PLW0603 - one broker, one process
    bell = _bell()
    if bell is None or time.monotonic() < _quiet_until:
        return
    try:
        bell()
    except Exception as error:  # noqa: BLE001 - the run is durable and will be found; its cause has long succeeded
        _quiet_until = time.monotonic() + QUIET
        log.warning("doorbell_failed", error=type(error).__name__)
