"""The keys: whether the root keys are there and open what the database holds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import connection

from core.crypto.hierarchy import TABLES, open_row
from core.crypto.keyring import KeyringError, get_keyring
from core.crypto.startup import rows_by_version
from core.tenancy import unscoped
from synqmgr.doctor.findings import Finding, failed, ok, warning

SAMPLE = 200  # keys of organizations opened, the newest first


def check_keys(options: Any) -> Iterator[Finding]:
    try:
        keyring = get_keyring()
        keyring.health()
        rows = rows_by_version()  # none where there are no tables yet
        opened = sum(1 for row in rows if open_row(row))
        if rows:
            with unscoped("the operator proves every organization's keys"):
                opened = sum(_open(model, None if options.full else SAMPLE) for model in TABLES)
    except KeyringError as error:
        yield failed("keys", str(error), "Without this key nothing sealed can be opened: see docs/sealing.md.")
        return
    current = keyring.current_version()
    used = sorted({row.root_version for row in rows})
    found = f"{opened} opened; root key versions in use: {', '.join(map(str, used)) or 'none'}; current: {current}"
    if any(version < current for version in used):
        yield warning("keys", found, "A rotation is not finished: run `manage.py rotate_keys`.")
    else:
        yield ok("keys", found)
    if not settings.ROOT_KEYS:
        yield from _key_file()


def _open(model: Any, most: int | None) -> int:
    rows = model._default_manager.order_by("-pk").iterator(chunk_size=SAMPLE)
    return sum(1 for row in itertools.islice(rows, most) if open_row(row))


def _key_file() -> Iterator[Finding]:
    path, name = settings.ROOT_KEY_FILE, "key file"
    mode = path.stat().st_mode & 0o777
    database = str(connection.settings_dict["NAME"])
    if mode & 0o007:
        yield warning(name, f"{path} has mode {mode:o}: every user may read it", f"chmod 600 {path}")
    elif settings.PRODUCTION and connection.vendor == "sqlite" and database.startswith(f"{path.parent}/"):
        remedy = "Move it and set SYNQMGR_KEY_FILE: whoever copies the folder has the secrets and the key."
        yield warning(name, f"{path} lies beside the database", remedy)
    else:
        yield ok(name, f"{path}, mode {mode:o}")
