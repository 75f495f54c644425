"""`manage.py export_audit`: an organization's audit log as JSON lines."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.instants import read_day_or_instant
from core.tenancy import Scope, scoped
from events.audit.export import export_lines
from organizations.services import find_organization


class Command(BaseCommand):
    help = "Writes the audit log of an organization to standard output, one JSON object a line, oldest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="ID", required=True, help="its id or name")
        parser.add_argument("--since", metavar="TIME", help="leave out what is older, such as 2026-01-31T00:00:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        organization = find_organization(options["organization"])
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        since = None
        if options["since"] is not None and (since := read_day_or_instant(options["since"])) is None:
            raise CommandError(f"--since {options['since']!r} is not a time such as 2026-01-31T00:00:00Z.")
        with scoped(Scope(organization.id)):
            for line in export_lines(since):
                sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
