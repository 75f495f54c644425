"""The machine and the settings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from django.conf import settings

from core.checks import CHECKS
from synqmgr.doctor.findings import Finding, failed, ok, warning

GIB = 1024**3
SCARCE, TOO_SCARCE = 1 * GIB, GIB // 10


def check_settings(options: object) -> Iterator[Finding]:
    errors = [error for check in CHECKS for error in check(None)]
    for error in errors:
        yield failed("settings", error.msg, error.hint or "")
    if errors:
        return
    if settings.PRODUCTION:
        yield ok("settings", "production, nothing unsafe")
    else:
        remedy = "Set SYNQMGR_PRODUCTION=true wherever others can reach the service."
        yield warning("settings", "not production: unsafe defaults are not refused", remedy)


def check_disk(options: object) -> Iterator[Finding]:
    folder = settings.DATA_DIR
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        remedy = "Make the folder and let the service's user write it, or set SYNQMGR_DATA."
        yield failed("disk", f"the data folder {folder} cannot be written", remedy)
        return
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / GIB:.1f} GiB of {usage.total / GIB:.1f} free in {folder}"
    remedy = "Free some space: without it nothing can be written."
    if usage.free < TOO_SCARCE:
        yield failed("disk", found, remedy)
    elif usage.free < SCARCE:
        yield warning("disk", found, remedy)
    else:
        yield ok("disk", found)
