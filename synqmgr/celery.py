"""Celery, where one machine is outgrown: its messages only wake workers, the run ledger says what is to be done.

A message that is lost or comes twice does no harm: every few seconds beat rings as well, and a run is claimed once.
"""

from __future__ import annotations

import functools
import os
import tempfile
from typing import Any

import django
from celery import Celery  # type: ignore[import-untyped]
from celery.signals import worker_init  # type: ignore[import-untyped]
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
if not apps.ready:
    if os.environ.get("SYNQMGR_WORKER_METRICS"):  # before the settings import what counts: the pool shares a folder
        folder = tempfile.TemporaryDirectory(prefix="synqmgr-metrics-")
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder.name
    django.setup()

from django.conf import settings

from core.checks import refuse_unsafe_settings
from core.crypto.startup import verify_keys
from core.ledger.chores import LOOK, prune_daily
from core.ledger.services import database_now
from core.ledger.worker import Heart, work_until_idle
from core.metrics import serve_counts

RING_EVERY = 2.0  # seconds; for what becomes due later, and for rings that were lost
WITHIN = 1.0  # seconds a broker may take to accept a ring

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
    """Does what is due."""
    work_until_idle(heart())


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
    try:
        refuse_unsafe_settings()
        verify_keys()
        if settings.WORKER_METRICS:
            serve_counts()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from error  # Celery logs any other error and goes on
