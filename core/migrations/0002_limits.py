"""The counts of limits, on PostgreSQL only. No model is made of them, so `makemigrations` does not know them."""

from typing import Any

from django.db import migrations

_MAKE = (
    # Half of each page stays free: a count is updated in place, without a new entry in any index.
    'CREATE UNLOGGED TABLE core_limit (key text PRIMARY KEY, count bigint NOT NULL, ends double precision NOT NULL) '
    'WITH (fillfactor = 50)',
    'CREATE INDEX core_limit_ends ON core_limit (ends)',
)


def make(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        for statement in _MAKE:
            editor.execute(statement)


def drop(apps: Any, editor: Any) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP TABLE core_limit")


class Migration(migrations.Migration):
    dependencies = [("core", "0001_first_tables")]
    operations = [migrations.RunPython(make, drop)]
