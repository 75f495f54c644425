"""`manage.py bootstrap`: the root organization, if there is none, and a new administrator token each time."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection, transaction

from core.tenancy import Scope, scoped, unscoped
from identity.permissionsets.sets import Permissions
from identity.services import open_organization
from identity.tokens.services import TokenSpec, issue_token
from organizations.models import Organization, OrganizationType
from organizations.services import create_organization

LOCK = 6_027_171_583  # PostgreSQL's number of it: any that nothing else takes


class Command(BaseCommand):
    help = "Makes the root organization if there is none, and prints a new administrator token."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object: organization_id and token")
        parser.add_argument("--name", default="root", help="name of the root organization when it is made")
        parser.add_argument("--ttl", default="8760h", help="how long the token works, such as 720h (default: a year)")
        parser.add_argument("--if-new", action="store_true", help="no token when the organization was there already")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        wait_for_others()
        with unscoped("bootstrap looks for the root organization before any scope exists"):
            organization = Organization.objects.filter(organization_type=OrganizationType.ROOT).first()
        token = None
        if organization is None:
            organization = create_organization(
                name=options["name"], fullname=options["name"], organization_type=OrganizationType.ROOT
            )
            opened = open_organization(of=organization, ttl=options["ttl"])
            token = opened.issued.secrets["access"]
        elif not options["if_new"]:
            with scoped(Scope(organization.id)):
                issued = issue_token(spec=TokenSpec(permission_set=Permissions.ADMINISTRATOR, ttl=options["ttl"]))
            token = issued.secrets["access"]
        answer = {"organization_id": organization.id, "token": token}
        if options["json"]:
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(f"organization id       {answer['organization_id']}")
        if answer["token"]:
            self.stdout.write(f"administrator token   {answer['token']}  (shown this once)")


def wait_for_others() -> None:
    """Until no other bootstrap is under way, so that there is one root organization. SQLite has one writer anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
