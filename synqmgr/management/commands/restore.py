"""`manage.py restore`: from a backup and the root keys to a service that can start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from synqmgr.backup.manifest import BackupError
from synqmgr.backup.services import restore_backup


class Command(BaseCommand):
    help = (
        "Restores a backup made by `manage.py backup` into the database of DATABASE_URL, then runs the doctor. "
        "Put the root keys in place first, and stop every server and worker."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path, help="the folder of the backup")
        parser.add_argument("--force", action="store_true", help="delete everything that the database holds")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            for step in restore_backup(options["folder"], force=options["force"]):
                self.stdout.write(step)
        except BackupError as error:
            raise CommandError(str(error)) from error
        call_command("doctor", stdout=self.stdout)
