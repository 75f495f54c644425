"""How far behind the workers are, read at a cost that does not grow with what waits."""

from __future__ import annotations

import dataclasses
import datetime as dt

from core.ledger.models import Run, Worker
from core.tenancy import unscoped

ALIVE = dt.timedelta(seconds=60)  # a heartbeat is four times as often
MOST = 10_000  # runs counted


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """Runs that are due and not claimed, up to `MOST` of them, and the workers seen lately."""

    due: int
    oldest_age: dt.timedelta
    workers: int

    @property
    def due_in_words(self) -> str:
        return f"{self.due}{' or more' if self.due == MOST else ''} run{'' if self.due == 1 else 's'}"


def read_backlog(now: dt.datetime) -> Backlog:
    """The backlog at a time of the database's clock."""
    with unscoped("a worker serves every organization"):
        due = Run.objects.filter(due_at__lte=now).order_by("due_at")
        oldest = due.values_list("due_at", flat=True).first()
        count = due[:MOST].count() if oldest else 0
    workers = Worker.objects.filter(seen_at__gt=now - ALIVE).count()
    return Backlog(count, now - oldest if oldest else dt.timedelta(), workers)
