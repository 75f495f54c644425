"""`manage.py backup`: a copy of the database while the service runs, without the root keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.crypto.keyring import get_keyring
from synqmgr.backup.manifest import BackupError
from synqmgr.backup.services import make_backup


class Command(BaseCommand):
    help = "Writes a backup of the database into a new folder, while the service runs. The root keys are not in it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="a folder that is new or empty")

    def handle(self, *args: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            manifest = make_backup(folder)
        except BackupError as error:
            raise CommandError(str(error)) from error
        needed = ", ".join(map(str, manifest.root_versions)) or "none yet"
        self.stdout.write(f"Backed up {manifest.database}, {manifest.bytes} bytes, into {folder}.")
        self.stdout.write(
            f"It needs root key version {needed} ({get_keyring().source}), which is not in it: keep that elsewhere."
        )
