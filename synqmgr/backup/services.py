"""Making a backup and bringing one back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection

from core.crypto.hashing import forget_keys
from core.crypto.startup import verify_keys
from synqmgr.backup import postgresql, sqlite
from synqmgr.backup.manifest import BackupError, Manifest, describe, read_manifest, verify, write_manifest

KINDS: dict[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgresql}


def make_backup(folder: Path) -> Manifest:
    """A backup in a folder of its own, which only its owner may enter. Servers and workers go on meanwhile."""
    try:
        verify_keys()  # a backup whose key is lost by now is none
    except ImproperlyConfigured as error:
        raise BackupError(f"{error} No backup was made.") from error
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty: name a folder that is new.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        file, manifest = KINDS[connection.vendor].dump(folder, describe)
        return write_manifest(folder, manifest, file)
    except OSError as error:
        raise BackupError(f"{folder} cannot be written ({error.strerror}).") from error


def restore_backup(folder: Path, *, force: bool) -> Iterator[str]:
    """Brings a backup back, and says each step. Everything that can be refused is, before anything is changed."""
    manifest = read_manifest(folder)
    file = verify(folder, manifest)
    yield f"The backup of {manifest.made_at} is whole, and the root keys open it."
    kind = KINDS[connection.vendor]
    kind.prove(file)
    if tables := connection.introspection.table_names():
        if not force:
            raise BackupError(
                f"The database is not empty ({len(tables)} tables). Name an empty one in DATABASE_URL, or say --force "
                "to delete everything in it. Nothing was changed."
            )
        kind.empty()
    kind.load(file)
    forget_keys()
    yield f"Restored {manifest.bytes} bytes of {manifest.database}."
    call_command("migrate", verbosity=0, interactive=False)
    yield "The tables are those of this version."
