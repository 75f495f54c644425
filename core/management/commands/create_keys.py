"""`manage.py create_keys`: the first root key of an installation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from core.crypto.keyring import VARIABLE, KeyringError, create_key_file, get_keyring
from core.crypto.startup import rows_by_version


class Command(BaseCommand):
    help = "Make the file with the first root key, unless it exists."

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.ROOT_KEY_FILE)
        try:
            if settings.ROOT_KEYS or path.exists():
                keyring = get_keyring()
                keyring.health()
                self.stdout.write(f"Nothing to do: {keyring.source} holds the root keys.")
                return
            self._refuse_second_first_key(path)
            create_key_file(path)
        except KeyringError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Made the root key in {path}.\n"
            "Back this file up now, apart from the database: without it nothing sealed can ever be opened, "
            "and whoever has both can open everything."
        )

    def _refuse_second_first_key(self, path: Path) -> None:
        """A database that holds wrapped keys needs the file it was used with, not a new one."""
        try:
            versions = sorted({row.root_version for row in rows_by_version()})
        except OperationalError:
            return  # no database yet; a wrong key file is refused at the start all the same
        if versions:
            raise KeyringError(
                f"The database needs root key version {', '.join(map(str, versions))}, but {path} does not "
                f"exist and {VARIABLE} is not set. Restore it from the backup of the keys."
            )
