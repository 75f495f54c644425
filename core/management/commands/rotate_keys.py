"""`manage.py rotate_keys`: new root key or new organization key, while the service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.crypto.hierarchy import (
    TABLES,
    NoKeyError,
    open_row,
    rewrap_all,
    rotate_organization_key,
)
from core.crypto.keyring import VARIABLE, KeyringError, add_root_version, get_keyring
from core.crypto.startup import rows_by_version
from core.tenancy import Scope, scoped, unscoped


class Command(BaseCommand):
    help = "Rotate the root key, or with --organization the key of one organization. Servers keep running."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", nargs="?", choices=["root"], default="root")
        parser.add_argument("--organization", metavar="ID", help="make a new key for this organization")
        parser.add_argument("--batch", type=int, default=500, help="rows per transaction (default 500)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["organization"]:
                self._rotate_organization(options["organization"])
            else:
                with unscoped("a root key wraps the keys of every organization"):
                    self._rotate_root(options["batch"])
        except KeyringError as error:
            raise CommandError(str(error)) from error

    def _rotate_organization(self, organization_id: str) -> None:
        try:
            with scoped(Scope(organization_id)):
                generation = rotate_organization_key(organization_id=organization_id)
        except NoKeyError as error:
            raise CommandError(f"{organization_id}: {error}.") from error
        self.stdout.write(f"Organization {organization_id} seals under generation {generation} now.")

    def _rotate_root(self, batch: int) -> None:
        keyring = get_keyring()
        keyring.health()
        unfinished = any(row.root_version < keyring.current_version() for row in rows_by_version())
        if settings.ROOT_KEYS:
            self._explain_variable(keyring.current_version())
        elif unfinished:
            self.stdout.write(f"Resuming the rotation to root key version {keyring.current_version()}.")
        else:
            version = add_root_version(Path(settings.ROOT_KEY_FILE))
            self.stdout.write(f"Added root key version {version} to {keyring.source}. Back the file up now.")
        while self._verify(rewrap_all(batch=batch)):
            self.stdout.write("A server added a key under an older version meanwhile; moving it too.")

    def _explain_variable(self, current: int) -> None:
        self.stdout.write(
            f"The root keys come from {VARIABLE}, which this command cannot write. To rotate, add version "
            f"{current + 1} to the variable, keep the others, restart every server and run this again.\n"
            f"Moving everything to version {current}, the highest there."
        )

    def _verify(self, moved: dict[str, int]) -> int:
        """Open every row there is and print the counts; returns how many are of an older version."""
        current, older = get_keyring().current_version(), 0
        for model in TABLES:
            table, count = model._meta.db_table, 0
            for row in model._default_manager.order_by("pk").iterator(chunk_size=1000):
                open_row(row)
                count += 1
                older += row.root_version < current
            self.stdout.write(f"{table}: {moved[table]} moved to version {current}, {count} of {count} open.")
        return older
