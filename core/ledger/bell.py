"""The doorbell: tells waiting workers that there is something to do. A ring that is lost costs time, never work.

On PostgreSQL it is a notification, which `manage.py run_worker` listens for. It is sent after the commit: in the
transaction it would make commits wait for each other.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable

import psycopg
import structlog
from django.conf import settings
from django.db import Error, connection
from django.utils.module_loading import import_string

CHANNEL = "synqmgr_runs"
QUIET = 5.0  # seconds without a ring after one that failed, which takes its caller's time
_quiet_until = 0.0
log = structlog.get_logger("synqmgr.ledger")


@functools.cache
def _bell() -> Callable[[], None] | None:
    if not settings.DOORBELL:
        return notify if connection.vendor == "postgresql" else None  # of a file, workers look often
    bell: Callable[[], None] = import_string(settings.DOORBELL)
    return bell


def notify() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


def listen(wake: Callable[[], None], stopping: threading.Event) -> None:
    """Calls `wake` at every ring, until told to stop."""
    while not stopping.is_set():
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            while not stopping.is_set():
                for _ in connection.connection.notifies(timeout=1.0, stop_after=1):
                    wake()
        except (Error, psycopg.Error) as error:
            log.warning("doorbell_not_heard", error=type(error).__name__)
            stopping.wait(QUIET)
        connection.close()


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
