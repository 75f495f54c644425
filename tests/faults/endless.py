"""`python -m tests.faults.endless ORGANIZATION_ID PATIENCE`: `run_worker` with so many seconds of patience and a run
that does not end. It writes a line when it has begun that."""

from __future__ import annotations

import os
import sys
import threading

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "synqmgr.settings")
django.setup()

from django.conf import settings  # noqa: E402 - these need the loaded apps
from django.core.management import call_command  # noqa: E402

from core.columns import new_id  # noqa: E402
from core.ledger import worker  # noqa: E402
from core.ledger.services import Claim, enqueue  # noqa: E402
from core.tenancy import Scope, scoped  # noqa: E402


def work(claimed: Claim) -> None:
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    threading.Event().wait()


def main(organization_id: str, patience: str) -> None:
    settings.RUN_KINDS = {"endless": f"{__spec__.name}.work"}
    worker.PATIENCE = float(patience)
    with scoped(Scope(organization_id)):
        enqueue(kind="endless", subject_id=new_id())
    call_command("run_worker", threads=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
