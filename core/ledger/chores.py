"""What one of all workers does now and then, whichever it is: deleting what is too old, once a day."""

from __future__ import annotations

import datetime as dt
import threading

import structlog
from django.db import Error, close_old_connections

from core.ledger.models import Chore
from core.ledger.services import database_now
from core.retention import prune_all

log = structlog.get_logger("synqmgr.ledger")
LOOK = 60.0  # seconds
DAILY = dt.timedelta(days=1)
AFTER_FAULT = dt.timedelta(hours=1)


def take_chore(name: str, *, every: dt.timedelta, now: dt.datetime) -> bool:
    """Whether a chore is the caller's to do: of all who ask at the same time, one is told so."""
    mine = Chore.objects.filter(name=name)
    due_at = mine.values_list("due_at", flat=True).first()
    if due_at is None:  # nobody has ever done it
        Chore.objects.bulk_create([Chore(name=name, due_at=now)], ignore_conflicts=True)
    elif due_at > now:
        return False  # a look takes no lock
    return bool(mine.filter(due_at__lte=now).update(due_at=now + every))


def prune_daily(now: dt.datetime) -> bool:
    """Deletes what is too old if that is this worker's chore today. What failed is tried again in an hour."""
    if not take_chore("prune", every=DAILY, now=now):
        return False
    if any([pruned.error for pruned in prune_all(now=now)]):  # noqa: C419 - every rule has its turn
        Chore.objects.filter(name="prune").update(due_at=now + AFTER_FAULT)
    return True


def look_after_chores(stopping: threading.Event) -> None:
    """Looks every minute, until told to stop. Apart from the heartbeat, which a long chore must not hold up."""
    while True:
        try:
            prune_daily(database_now())
        except Error as error:
            log.warning("chore_failed", error=str(error).partition("\n")[0])
        except Exception:
            log.exception("chore_broke")
        close_old_connections()
        if stopping.wait(LOOK):
            return
