"""What row level security takes of a login role, by the commands of the manual."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests.server import Server, free_port

ADMINISTRATION = os.environ.get("DATABASE_URL", "")
pytestmark = pytest.mark.skipif(not ADMINISTRATION.startswith("postgres"), reason="SQLite has no roles")


def administer(statement: str, *names: str) -> None:
    with psycopg.connect(ADMINISTRATION, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Server]:
    """The commands with a database whose owner may do nothing else, not even make roles."""
    owner = f"synqmgr_owner_{uuid.uuid4().hex[:12]}"
    tenant = f"{owner}_tenant"
    administer("CREATE ROLE {} LOGIN PASSWORD 'of-a-test'", owner)
    administer("CREATE DATABASE {} OWNER {}", owner, owner)
    at = urlsplit(ADMINISTRATION)
    url = at._replace(netloc=f"{owner}:of-a-test@{at.hostname}:{at.port or 5432}", path=f"/{owner}").geturl()
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SYNQMGR_")}
    own = {"DATABASE_URL": url, "SYNQMGR_DATA": str(tmp_path), "SYNQMGR_TENANT_ROLE": tenant, "WORKERS": "1"}
    server = Server(tmp_path, inherited | own, free_port())
    server.manage("create_keys")
    yield server
    server.stop()
    administer("DROP DATABASE {} WITH (FORCE)", owner)
    administer("DROP ROLE IF EXISTS {}, {}", tenant, owner)


def test_owner__without_the_role__serves_and_says_that_the_lock_is_off(plain: Server) -> None:
    plain.manage("migrate", "--verbosity", "0")
    with pytest.raises(AssertionError, match=r"core\.W001"):
        plain.manage("check", "--database", "default", "--fail-level", "WARNING")
    plain.start()
    assert plain.log.count("row_security_off") == 1
    with pytest.raises(AssertionError, match="Row level security is off"):
        dataclasses.replace(plain, environment=plain.environment | {"SYNQMGR_ROW_SECURITY": "on"}).manage("migrate")


def test_owner__with_the_role__is_locked(plain: Server) -> None:
    tenant = plain.environment["SYNQMGR_TENANT_ROLE"]
    administer("CREATE ROLE {} NOLOGIN", tenant)
    administer("GRANT {} TO {}", tenant, tenant.removesuffix("_tenant"))
    plain.environment["SYNQMGR_ROW_SECURITY"] = "on"
    plain.manage("migrate", "--verbosity", "0")
    assert "no issues" in plain.manage("check", "--database", "default")
    plain.manage("bootstrap")
    counted = "from django.db import connection as c; print(c.cursor().execute('SELECT count(*) FROM {}').fetchone())"
    assert "(0,)" in plain.manage("shell", "-v0", "-c", counted.format("organizations_organization"))
    assert "(0,)" in plain.manage("shell", "-v0", "-c", counted.format("core_organizationkey"))
    assert "core_organizationkey: 1 moved to version 2, 1 of 1 open." in plain.manage("rotate_keys")
    plain.start()
    assert "row_security_off" not in plain.log
