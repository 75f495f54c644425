"""Named points at which a test may kill the process, as a power cut would. Nothing happens unless a folder is named."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from django.conf import settings

POINTS = ("change-recorded", "change-committed", "run-claimed", "run-worked", "run-recorded", "run-concluded")


def reach(point: str) -> None:
    """Dies here if the test has put a file of the point's name into the folder; the file is taken first."""
    if not settings.FAULT_FOLDER:
        return
    try:
        (Path(settings.FAULT_FOLDER) / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
