"""What is proved of the keys before the service starts."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from core.crypto.hierarchy import TABLES, open_row
from core.crypto.keyring import KeyringError, get_keyring
from core.crypto.models import WrappedKey
from core.tenancy import unscoped


def verify_keys() -> None:
    """Refuse to start without the root keys that the database needs, naming the key and where it belongs."""
    try:
        get_keyring().health()
        for row in rows_by_version():
            open_row(row)
    except KeyringError as error:
        raise ImproperlyConfigured(str(error)) from error


def rows_by_version() -> list[WrappedKey]:
    """One row of each table and root version in use; none before the tables are made."""
    existing = set(connection.introspection.table_names())
    with unscoped("a root key wraps the keys of every organization"):
        return [row for model in TABLES if model._meta.db_table in existing for row in _one_of_each(model)]


def _one_of_each(model: type[WrappedKey]) -> Iterator[WrappedKey]:
    rows = model._default_manager.order_by("pk")
    for version in sorted(set(rows.order_by().values_list("root_version", flat=True).distinct())):
        yield from rows.filter(root_version=version)[:1]
