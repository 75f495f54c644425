"""Celery, where one machine is outgrown: its messages only wake workers, the run ledger says what is to be done.

A message that is lost or comes twice does no harm: every few seconds beat rings as well, and a run is claimed once.
"""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import time
from typing import Any

import django
from celery import Celery  # type: ignore[import-untyped]
from celery.signals import worker_init, worker_shutting_down  # type: ignore[import-untyped]
from django.apps import apps

from core.environment import refusing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
if not apps.ready:
    if os.environ.get("SYNQMGR_WORKER_METRICS"):  # before the settings import what counts: the pool shares a folder
        folder = tempfile.TemporaryDirectory(prefix="synqmgr-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder.name
    with refusing():
        django.setup()

from django.conf import settings

from core.checks import refuse_unsafe_settings
from core.crypto.startup import verify_keys
from core.ledger import bell
from core.ledger.chores import LOOK, prune_daily
from core.ledger.services import database_now
from core.ledger.worker import HAND, Heart, work_until_idle
from core.metrics import serve_counts

RING_EVERY = 2.0  # seconds; for what becomes due later, and for rings that were lost
WITHIN = 1.0  # seconds a broker may take to accept a ring
LONGEST = 5.0  # seconds in which one task begins work

stopping = threading.Event()  # set where a child is no process of its own: with `--pool threads` or `solo`

app = Celery("synqmgr", broker=settings.CELERY_BROKER_URL)
app.conf.update(
    task_ignore_result=True,
    task_default_queue=settings.CELERY_QUEUE,
    task_publish_retry=False,
    broker_connection_timeout=WITHIN,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"socket_connect_timeout": WITHIN, "socket_timeout": 15.0, "max_retries": 0},
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    timezone="UTC",
    beat_schedule={
        "look": {"task": "synqmgr.work", "schedule": RING_EVERY, "options": {"expires": RING_EVERY}},
        "chores": {"task": "synqmgr.chores", "schedule": LOOK},
    },
)


@functools.cache
def heart() -> Heart:
    """Of this process."""
    made = Heart()
    made.start()
    return made


@app.task(name="synqmgr.work", expires=60)  # type: ignore[untyped-decorator]
def work() -> None:
    """Does what is due, and leaves the rest to the next task: a worker that is told to stop waits for a task's end."""
    began = time.monotonic()
    work_until_idle(heart(), size=HAND, within=LONGEST, stopping=stopping)
    if time.monotonic() - began >= LONGEST:
        bell.ring()


@app.task(name="synqmgr.chores", expires=60)  # type: ignore[untyped-decorator]
def chores() -> None:
    """Deletes what is too old, once a day."""
    prune_daily(database_now())


def ring() -> None:
    """The doorbell: wakes a Celery worker."""
    work.apply_async(retry=False)


@worker_init.connect  # type: ignore[untyped-decorator]
def check(**_: Any) -> None:
    """Refuses to work with settings or keys that a server would refuse to start with; then tells its numbers."""
    with refusing():
        refuse_unsafe_settings()
        verify_keys()
        if settings.WORKER_METRICS:
            serve_counts()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def stop(**_: Any) -> None:
    """Begins nothing more."""
    stopping.set()
