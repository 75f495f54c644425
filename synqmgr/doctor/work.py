"""What runs by itself, and the logs of what happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from core.ledger.backlog import read_backlog
from core.ledger.services import database_now
from events.audit.chains import every_organization, is_short, prove_all
from synqmgr.doctor.findings import Finding, failed, ok, warning

LATE = dt.timedelta(seconds=90)  # in which a run of a dead worker is another's
SAMPLE = 50  # organizations, the newest first


def check_workers(options: object) -> Iterator[Finding]:
    backlog = read_backlog(database_now())
    age = backlog.oldest_age
    found = f"{backlog.workers} seen in the last minute; {backlog.due_in_words} due"
    found += f", the oldest for {age.total_seconds():.0f} s" if backlog.due else ""
    remedy = "Start `manage.py run_worker` (or leave SYNQMGR_SERVE_WORKER on)."
    if backlog.workers and age <= LATE:
        yield ok("workers", found)
    elif backlog.workers:
        yield warning("workers", found, "Start more workers, or give them more threads: they do not keep up.")
    elif age > LATE:
        yield failed("workers", found, remedy)
    else:
        yield warning("workers", found, remedy)


def check_audit(options: Any) -> Iterator[Finding]:
    """The chains of all organizations, else of a few that are soon read."""
    known = every_organization()
    looked_at = known if options.full else [each for each in known[-SAMPLE:] if is_short(each)]
    breaks = {organization: proof.broken for organization, proof in prove_all(looked_at) if proof.broken}
    found = f"{len(looked_at)} of {len(known)} logs looked at" + ("" if options.full else " (--full for all)")
    if breaks:
        places = "; ".join(f"{organization}: {place}" for organization, place in breaks.items())
        remedy = "Somebody changed the database by hand. Compare with a backup and with `manage.py export_audit`."
        yield failed("audit", f"{found}, {len(breaks)} broken: {places}", remedy)
    else:
        yield ok("audit", f"{found}, every chain holds")
