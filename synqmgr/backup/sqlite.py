"""SQLite's own online backup: a consistent copy while others read and write."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connection

from synqmgr.backup.manifest import BackupError

FILE = "database.sqlite3"


def dump(folder: Path, describe: Callable[[], Any]) -> tuple[Path, Any]:
    """Copies the database as it is at one moment, and what describes it at the same moment."""
    target = folder / FILE
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")  # not IMMEDIATE: writers need not wait
        try:
            described = describe()
            copy = sqlite3.connect(target)
            try:
                connection.connection.backup(copy)
                check(copy, target)
            finally:
                copy.close()
        finally:
            cursor.execute("ROLLBACK")
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return target, described


def prove(file: Path) -> None:
    """Nothing: `load` looks at the file before it changes anything."""


def load(file: Path) -> None:
    """Puts the copy in the database's place in one transaction, which whoever has it open sees as any other."""
    source = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        check(source, file)
        connection.ensure_connection()
        source.backup(connection.connection)
    except sqlite3.OperationalError as error:
        raise BackupError(f"The database cannot be written ({error}): stop every server and worker first.") from error
    finally:
        source.close()


def empty() -> None:
    """Nothing: what is loaded takes the place of everything there is."""


def check(database: sqlite3.Connection, file: Path) -> None:
    (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise BackupError(f"{file} is damaged: {found}.")
