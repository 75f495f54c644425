"""PostgreSQL's own pg_dump and pg_restore, with what the database is told of itself in the same snapshot."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import OperationalError, connection, transaction

from core.rowsecurity import as_owner
from synqmgr.backup.manifest import BackupError

FILE = "database.dump"
WAIT = "30s"  # for whoever holds a table, before giving up
TABLES = (
    "SELECT format('DROP TABLE %I.%I CASCADE', schemaname, tablename) FROM pg_tables "
    "WHERE schemaname = current_schema()"
)
FUNCTIONS = (
    "SELECT format('DROP FUNCTION %s', oid::regprocedure) FROM pg_proc "
    "WHERE pronamespace = current_schema()::regnamespace AND prokind = 'f' "
    "AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
)
# What psycopg takes as options and libpq's programs take from the environment.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}


def dump(folder: Path, describe: Callable[[], Any]) -> tuple[Path, Any]:
    """Dumps one snapshot, and what describes it in the same one."""
    target = folder / FILE
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        (snapshot,) = cursor.fetchone()
        described = describe()
        run("pg_dump", "--format=custom", "--no-unlogged-table-data", f"--snapshot={snapshot}", f"--file={target}")
    with target.open("rb") as written:
        os.fsync(written.fileno())
    return target, described


def prove(file: Path) -> None:
    """Raises unless this machine's pg_restore is there and can read the file."""
    run("pg_restore", "--list", str(file))


def load(file: Path) -> None:
    """Restores into a database without tables: all of it or nothing. `migrate` then makes rights and functions anew."""
    connection.close()  # what this session knows of the database is about to change
    run("pg_restore", "--single-transaction", "--exit-on-error", f"--dbname={database()}", str(file))
    drop(FUNCTIONS)  # restored without rights they are everybody's


def empty() -> None:
    """Drops what is there. Servers that hold a table are waited for, but not for ever."""
    try:
        drop(TABLES, FUNCTIONS)
    except OperationalError as error:
        said = str(error).partition("\n")[0]
        raise BackupError(f"The database cannot be emptied ({said}): stop every server and worker first.") from error


def drop(*listings: str) -> None:
    """Runs the statements that each query lists, in one transaction."""
    with as_owner(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{WAIT}'")
        for listing in listings:
            cursor.execute(listing)
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)


def database() -> str:
    return str(connection.get_connection_params()["dbname"])


def run(program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs. The password goes by the environment: others can read a command line."""
    path = shutil.which(program)
    if path is None:
        raise BackupError(
            f"{program} is not on the PATH. Install PostgreSQL's client programs of the server's version or newer."
        )
    parameters = connection.get_connection_params()
    told = {name: str(parameters[key]) for key, name in VARIABLES.items() if parameters.get(key)}
    done = subprocess.run(  # noqa: S603 - no shell
        [path, "--no-owner", "--no-privileges", "--no-password", *arguments],
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupError(f"{program} failed: {done.stderr.strip()[-1000:]}")
