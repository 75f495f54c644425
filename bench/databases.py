"""The bench's databases: made, filled, copied for each server, and dropped."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import psycopg

Kind = Literal["sqlite", "postgresql"]
ROOT = Path(__file__).resolve().parent.parent
DEFAULT_URL = "postgres://root@127.0.0.1:5432/synqmgr_bench"
LIMITS = "token=1000000000/60,organization=1000000000/60"  # counted as ever, and never reached
_OWN = """
import json
from core.crypto.hierarchy import system_key
from django.db import connection
from identity.tokens.authentication import SECRETS

connection.ensure_connection()
sql, slots = SECRETS.compiled
sql = SECRETS.telling.statement.sql if getattr(connection, "is_tenant", False) else sql
look_up = json.dumps([sql, [slot.value for slot in slots]])
print(json.dumps([system_key(purpose="token").secret.hex(), look_up]))
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """A database with accounts in it, and what a client needs to use it."""

    kind: Kind
    folder: Path  # the keys, and SQLite's files
    url: str
    organization_id: str
    token: str
    hash_key: str
    look_up: str  # the service's own statement that finds a token's secret, and the names of its values, as JSON

    @property
    def environment(self) -> dict[str, str]:
        own = {"BENCH_HASH_KEY": self.hash_key, "BENCH_LOOK_UP": self.look_up}
        return environment(self.folder, self.url) | own

    def sessions(self) -> list[int]:
        """The processes of PostgreSQL that serve this database."""
        if self.kind == "sqlite":
            return []
        with psycopg.connect(administration_url()) as connection:
            rows = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [_name(self.url)])
            return [pid for (pid,) in rows]

    def copy(self, name: str) -> Filled:
        """The same rows for a server that writes its own."""
        url = _url(self.kind, self.folder, name)
        if self.kind == "sqlite":
            shutil.copyfile(_file(self.url), _file(url))
        else:
            _administer(f'CREATE DATABASE "{_name(url)}" TEMPLATE "{_name(self.url)}"')
        return dataclasses.replace(self, url=url)


def environment(folder: Path, url: str) -> dict[str, str]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("SYNQMGR_", "DATABASE_", "PROMETHEUS_"))}
    own = {"SYNQMGR_DATA": str(folder), "DATABASE_URL": url, "SYNQMGR_LIMITS": LIMITS, "PYTHONPATH": str(ROOT)}
    return keep | own | {"DJANGO_SETTINGS_MODULE": "synqmgr.settings"}


def fill(kind: Kind, folder: Path, name: str, *, accounts: int, organizations: int) -> Filled:
    """A new database with so many accounts."""
    folder.mkdir(parents=True, exist_ok=True)
    url = _url(kind, folder, name)
    if kind == "postgresql":
        _administer(f'CREATE DATABASE "{_name(url)}"')
    env = environment(folder, url)
    _manage(env, "migrate", "-v0")
    _manage(env, "create_keys")
    seeded = json.loads(
        _manage(env, "seed_accounts", "--accounts", str(accounts), "--organizations", str(organizations))
    )
    hash_key, look_up = json.loads(_manage(env, "shell", "-v0", "-c", _OWN).splitlines()[-1])
    if kind == "postgresql":
        _administer("VACUUM ANALYZE", url)
    return Filled(kind, folder, url, seeded["organization_id"], seeded["token"], hash_key, look_up)


def drop_all(kind: Kind, folder: Path) -> None:
    """Removes every database the bench may have made, also those of a run that was cut short."""
    if kind == "postgresql":
        for name in ("service", "limit", "stock", "pages"):
            _administer(f'DROP DATABASE IF EXISTS "{_name(_url(kind, folder, name))}" WITH (FORCE)')
    shutil.rmtree(folder, ignore_errors=True)


def administration_url() -> str:
    return os.environ.get("BENCH_DATABASE_URL", DEFAULT_URL).rpartition("/")[0] + "/postgres"


def _url(kind: Kind, folder: Path, name: str) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder / name}.sqlite3"
    return f"{os.environ.get('BENCH_DATABASE_URL', DEFAULT_URL)}_{name}"


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _administer(sql: str, url: str | None = None) -> None:
    with psycopg.connect(url or administration_url(), autocommit=True) as connection:
        connection.execute(sql)


def _manage(env: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
