"""The database: whether it answers, keeps what it acknowledged, and has the tables and the time it should."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from core.ledger.services import database_now
from synqmgr.doctor.findings import Finding, failed, ok, warning

OLDEST = (15, 0)  # PostgreSQL that the suite is run on
_NEAR, _FAR = 2.0, 30.0  # seconds that clocks may differ: a lease is 60


def value_of(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def check_database(options: object) -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        said = str(error).partition("\n")[0]
        yield failed("database", f"it does not answer: {said}", "Start the database, or correct DATABASE_URL.")
        return
    if connection.vendor == "sqlite":
        yield ok("database", f"SQLite {value_of('SELECT sqlite_version()')}, {connection.settings_dict['NAME']}")
        return
    number = value_of("SHOW server_version_num")
    found = f"PostgreSQL {value_of('SHOW server_version')}, database {connection.settings_dict['NAME']}"
    if divmod(int(number), 10_000) < OLDEST:
        yield failed("database", found, f"Upgrade PostgreSQL to {OLDEST[0]} or newer.")
    elif value_of("SHOW server_encoding") != "UTF8":
        yield failed("database", f"{found}, not in UTF8", "Make a database with ENCODING 'UTF8' and restore into it.")
    else:
        yield ok("database", found)


def check_durability(options: Any) -> Iterator[Finding]:
    """A 2xx is a promise that outlives a power cut: these settings keep it."""
    wanted = (
        {"journal_mode": {"wal"}, "synchronous": {"2", "3"}, "foreign_keys": {"1"}}
        if connection.vendor == "sqlite"
        else {
            "fsync": {"on"},
            "full_page_writes": {"on"},
            "synchronous_commit": {"on", "local", "remote_write", "remote_apply"},
        }
    )
    read = "PRAGMA" if connection.vendor == "sqlite" else "SHOW"
    found = {name: str(value_of(f"{read} {name}")) for name in wanted}
    bad = [name for name, value in found.items() if value not in wanted[name]]
    said = ", ".join(f"{name} {value}" for name, value in found.items())
    if bad:
        remedy = f"Set {', '.join(bad)} as docs/production.md says: what was acknowledged can be lost."
        yield failed("durability", said, remedy)
    else:
        yield ok("durability", said)
    if options.full and connection.vendor == "sqlite":
        intact = value_of("PRAGMA integrity_check")
        remedy = "Restore the newest backup that passes: the file is damaged."
        yield ok("integrity", intact) if intact == "ok" else failed("integrity", intact, remedy)


def check_row_security(options: object) -> Iterator[Finding]:
    database: Any = connection
    role = settings.TENANT_ROLE
    if database.vendor != "postgresql":
        yield ok("row security", "SQLite has none: the service's own lock stands alone")
    elif database.is_tenant:
        yield ok("row security", f"on, as the role {role}")
    elif settings.ROW_SECURITY == "off":
        yield warning("row security", "switched off", "Remove SYNQMGR_ROW_SECURITY=off to have the second lock.")
    else:
        tell = failed if settings.ROW_SECURITY == "on" else warning
        remedy = f"As a superuser: CREATE ROLE {role} NOLOGIN; GRANT {role} TO <login role>; then `manage.py migrate`."
        yield tell("row security", f"off: the login role has no role {role}, or `migrate` was not run since", remedy)


def check_clock(options: object) -> Iterator[Finding]:
    before = dt.datetime.now(dt.UTC)
    theirs = database_now()
    after = dt.datetime.now(dt.UTC)
    # Whatever the way there took is no difference of clocks.
    apart = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    found = f"{format(apart, '.1f')} s between this machine and the database"
    remedy = "Run a time service (chrony, systemd-timesyncd) on both."
    if apart > _FAR:
        yield failed("clock", found, remedy)
    elif apart > _NEAR:
        yield warning("clock", found, remedy)
    else:
        yield ok("clock", found)


def check_migrations(options: object) -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:5])
        yield failed("migrations", f"{len(plan)} to do: {names}", "Run `manage.py migrate`.")
    else:
        yield ok("migrations", "none to do")
