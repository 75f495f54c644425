"""`manage.py seed_accounts`: many accounts at once, for benches and trials."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, models, transaction

from accounts.models import Account, AccountLabel, Environment
from core.columns import new_id
from core.models import insertion
from core.rowsecurity import as_owner
from core.tenancy import Scope, scoped
from identity.services import open_organization
from organizations.models import OrganizationType
from organizations.services import create_organization

BATCH = 10_000
LABELLED = 10  # one account of so many carries labels
PRIME = 7_368_787  # makes the order of full names another than that of names
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Command(BaseCommand):
    help = "Makes organizations with many accounts, and prints the first one's id and an administrator token as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--accounts", type=int, default=100_000, help="accounts in all (default: 100000)")
        parser.add_argument("--organizations", type=int, default=1, help="organizations to share them (default: 1)")

    def handle(self, *args: Any, **options: Any) -> None:
        accounts, organizations = options["accounts"], options["organizations"]
        if accounts < 0 or organizations < 1:
            raise CommandError("Ask for at least no accounts and one organization.")
        made = dict(make_organization(number) for number in range(organizations))
        for number, organization_id in enumerate(made):
            share = accounts // organizations + (number < accounts % organizations)
            with scoped(Scope(organization_id)):
                fill_organization(organization_id, share)
        with as_owner(), connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        organization_id, token = next(iter(made.items()))
        self.stdout.write(json.dumps({"organization_id": organization_id, "token": token}))


def make_organization(number: int) -> tuple[str, str]:
    """Its id, and an administrator token."""
    name = f"seed-{number}-{new_id()[-12:]}"
    organization = create_organization(name=name, fullname=name, organization_type=OrganizationType.STANDARD)
    with transaction.atomic():
        return organization.id, open_organization(of=organization).issued.secrets["access"]


def fill_organization(organization_id: str, accounts: int) -> None:
    """Writes the accounts and their label rows, one transaction a batch."""
    made = make_accounts(organization_id, accounts)
    while batch := list(islice(made, BATCH)):
        with transaction.atomic():
            insert(Account, batch)
            insert(AccountLabel, [row for account in batch for row in label_rows(account)])


def insert(model: type[models.Model], rows: Sequence[models.Model]) -> None:
    """One prepared statement for every row: `bulk_create` takes four times as long on SQLite."""
    columns = tuple(f for f in model._meta.concrete_fields if not isinstance(f, models.AutoField))
    values = [[f.get_db_prep_save(getattr(row, f.attname), connection) for f in columns] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(insertion(model, columns).sql, values)


def label_rows(account: Account) -> list[AccountLabel]:
    return [AccountLabel(account=account, organization_id=account.organization_id, label=x) for x in account.labels]


def make_accounts(organization_id: str, accounts: int) -> Iterator[Account]:
    for number in range(accounts):
        made = START + dt.timedelta(seconds=number)
        yield Account(
            organization_id=organization_id,
            name=f"customer-{number:07}",
            fullname=f"Customer {number * PRIME % 10_000_000:07}",
            created_at=made,
            updated_at=made + dt.timedelta(seconds=number * PRIME % 1_000_000),
            environment=Environment.TEST if number % 4 == 0 else Environment.PROD,
            labels=[f"tier:{number % 3}", f"region:{number % 7}"] if number % LABELLED == 0 else [],
        )
