"""`manage.py verify_audit`: proves that no event of the audit logs was changed, added between or taken out."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.crypto.startup import verify_keys
from events.audit.chains import every_organization, find_breaks
from organizations.services import find_organization


class Command(BaseCommand):
    help = "Checks the chain of every organization's audit log. Ends with status 1 and the place where one is broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="ID", help="only the log of the organization of this id or name")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verify_keys()  # without the right ones every chain would look broken
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        broken = 0
        for organization_id, place in find_breaks(chosen(options["organization"])):
            broken += place is not None
            self.stdout.write(f"{organization_id}  {'broken: ' + place if place else 'ok'}")
        if broken:
            raise CommandError(f"{broken} audit log{'s are' if broken > 1 else ' is'} broken: see above where.")


def chosen(named: str | None) -> list[str]:
    """The ids of the organizations whose logs are meant."""
    if named is None:
        return every_organization()
    organization = find_organization(named)
    if organization is None:
        raise CommandError(f"There is no organization {named!r}.")
    return [organization.id]
