"""`manage.py prune`: deletes what the retention settings say is too old, now."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.ledger.services import database_now
from core.retention import prune_all


class Command(BaseCommand):
    help = "Deletes what is older than SYNQMGR_RETENTION keeps it. Workers do the same by themselves, once a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="name", help=f"only these of: {', '.join(settings.RETENTION)}")

    def handle(self, *args: Any, **options: Any) -> None:
        if unknown := sorted(set(options["names"]) - set(settings.RETENTION)):
            raise CommandError(f"There is nothing named {', '.join(unknown)}: it is {', '.join(settings.RETENTION)}.")
        failed = []
        for pruned in prune_all(now=database_now(), names=options["names"]):
            days = pruned.rule.days
            kept = "kept for ever" if not days else f"kept {days} day{'s' * (days > 1)}"
            said = f"failed: {pruned.error}" if pruned.error else f"{pruned.deleted} deleted"
            failed += [pruned.rule.name] if pruned.error else []
            self.stdout.write(f"{pruned.rule.name:20} {kept:18} {said}")
        if failed:
            raise CommandError(f"Not everything was deleted: {', '.join(failed)} failed. Run it again.")
