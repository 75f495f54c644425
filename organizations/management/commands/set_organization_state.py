"""`manage.py set_organization_state`: enables, disables or dates an organization."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.tenancy import Scope, scoped
from organizations.models import OrganizationState
from organizations.services import find_organization


class Command(BaseCommand):
    help = "Enables or disables an organization: requests of a disabled one are answered with 402 at once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("organization", help="its id or name")
        parser.add_argument("state", choices=[state.value for state in OrganizationState])
        parser.add_argument("--end-date", default=None, help="last day (YYYY-MM-DD, UTC) of the states plg and pov")

    def handle(self, *args: Any, **options: Any) -> None:
        end_date = options["end_date"]
        if end_date is not None and re.fullmatch(r"[0-9]{4}-[01][0-9]-[0-3][0-9]", end_date) is None:
            raise CommandError("--end-date must be a day such as 2026-12-31.")
        organization = find_organization(options["organization"])
        if organization is None:
            raise CommandError(f"There is no organization {options['organization']!r}.")
        organization.state, organization.end_date = options["state"], end_date
        organization.touch()
        with scoped(Scope(organization.id)):
            organization.save(update_fields=["state", "end_date", "updated_at"])
        self.stdout.write(f"{organization.name} is {organization.state}.")
