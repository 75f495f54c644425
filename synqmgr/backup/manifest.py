"""What a backup says of itself: written last, so a folder without it is no backup."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from core.crypto.keyring import KeyringError, Wrapped, get_keyring
from core.crypto.startup import rows_by_version
from core.instants import now_text

NAME = "manifest.json"
FORMAT = 1


class BackupError(Exception):
    """Why a backup was not made or is not restored, and what to do."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """`keys` are wrapped keys of the backup itself, one of each table and root version: they prove the root keys."""

    format: int
    version: str  # of the service
    made_at: str
    database: str  # sqlite or postgresql
    database_version: str
    migrations: list[str]
    root_versions: list[int]
    keys: list[dict[str, Any]]
    file: str = ""
    bytes: int = 0
    sha256: str = ""


def describe() -> Manifest:
    """The manifest of the database as it is in the transaction that is open."""
    rows = rows_by_version()
    return Manifest(
        format=FORMAT,
        version=str(settings.SPECTACULAR_SETTINGS["VERSION"]),
        made_at=now_text(),
        database=connection.vendor,
        database_version=".".join(map(str, connection.get_database_version())),
        migrations=sorted(".".join(key) for key in MigrationLoader(connection).applied_migrations),
        root_versions=sorted({row.root_version for row in rows}),
        keys=[
            {"root_version": row.root_version, "context": _text(row.context()), "wrapped": _text(bytes(row.wrapped))}
            for row in rows
        ],
    )


def write_manifest(folder: Path, manifest: Manifest, file: Path) -> Manifest:
    """Adds the file to the manifest and puts it beside it."""
    found = dataclasses.replace(manifest, file=file.name, bytes=file.stat().st_size, sha256=digest_of(file))
    target = folder / NAME
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(dataclasses.asdict(found), out, indent=2)
        out.flush()
        os.fsync(out.fileno())
    return found


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup that this version of the service can restore into this kind of database."""
    try:
        manifest = Manifest(**json.loads((folder / NAME).read_text()))
    except FileNotFoundError:
        raise BackupError(f"{folder} is no complete backup: it has no {NAME}.") from None
    except (OSError, ValueError, TypeError) as error:
        raise BackupError(f"{folder / NAME} cannot be read ({type(error).__name__}): take another backup.") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{folder} has format {manifest.format}; this version of the service reads {FORMAT}.")
    if manifest.database != connection.vendor:
        raise BackupError(
            f"{folder} is a backup of {manifest.database}, and DATABASE_URL names {connection.vendor}: "
            "restore it into a database of its own kind."
        )
    known = {".".join(key) for key in MigrationLoader(None).disk_migrations}
    if unknown := sorted(set(manifest.migrations) - known):
        raise BackupError(
            f"{folder} was made by version {manifest.version}, which is newer: this one does not know "
            f"{', '.join(unknown[:3])}. Restore with that version."
        )
    return manifest


def verify(folder: Path, manifest: Manifest) -> Path:
    """The backup's file, proved to be what was written and to open with the root keys that are here."""
    file = folder / Path(manifest.file).name
    if not file.is_file():
        raise BackupError(f"{file} is missing: the backup is not complete. Take another one.")
    if file.stat().st_size != manifest.bytes or digest_of(file) != manifest.sha256:
        raise BackupError(f"{file} is not what was written: its checksum differs. Take another backup.")
    needed = ", ".join(map(str, manifest.root_versions)) or "none"
    try:
        for key in manifest.keys:
            wrapped = Wrapped(key["root_version"], base64.b64decode(key["wrapped"]))
            get_keyring().unwrap(wrapped, base64.b64decode(key["context"]))
    except KeyringError as error:
        raise BackupError(f"The backup needs root key version {needed}. {error} Nothing was changed.") from error
    return file


def digest_of(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
