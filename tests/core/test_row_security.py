"""The second lock: with the first one left out, PostgreSQL still shows and changes one organization's rows only."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from core.columns import new_id
from core.crypto.hierarchy import NoKeyError, create_organization_key, organization_key, shred_organization
from core.crypto.startup import rows_by_version
from core.rowsecurity import as_owner, key_name, tenant_columns, tenant_keys
from core.tenancy import scoped, unscoped
from identity.tokens.authentication import SECRETS
from identity.tokens.secrets import public_id_of
from tests.api import Api
from tests.objects import HTTP_SINK, TOKEN_CONFIG, post_integration

# Tables of no tenant.
OF_NO_TENANT = {
    "core_chore",
    "core_systemkey",
    "core_worker",
    "identity_logonattempt",
}


@pytest.fixture(autouse=True)
def _locked(request: pytest.FixtureRequest) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no row level security")
    request.getfixturevalue("db")
    connection.ensure_connection()
    if not getattr(connection, "is_tenant", False):
        assert settings.ROW_SECURITY != "on"
        pytest.skip("row level security is off")


@pytest.fixture
def accounts(acme: Api, globex: Api) -> dict[str, str]:
    """An account of each organization: name -> id."""
    made = {}
    for api, name in ((acme, "of-acme"), (globex, "of-globex")):
        made[name] = api.post("/v1/accounts", {"name": name}).json()["result"]["account"]["id"]
    return made


def run(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall() if cursor.description else [(cursor.rowcount,)]


def names() -> set[str]:
    """Of all accounts, with no condition at all."""
    return {name for (name,) in run("SELECT name FROM accounts_account")}


def test_reading__without_a_condition__shows_the_scope(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    with scoped(acme.scope):
        assert names() == {"of-acme"}
        assert set(Account._base_manager.values_list("name", flat=True)) == {"of-acme"}
        assert [a.name for a in Account._base_manager.iterator()] == ["of-acme"]
        with scoped(globex.scope):
            assert names() == {"of-globex"}
        assert names() == {"of-acme"}
        with scoped(None):
            assert names() == set()
        with unscoped("a test"):
            assert names() == {"of-acme", "of-globex"}
    assert names() == set()


def test_changing__without_a_condition__changes_the_scope(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    with scoped(acme.scope):
        assert run("UPDATE accounts_account SET fullname = 'changed'") == [(1,)]
        assert run("DELETE FROM accounts_account WHERE id = %s", accounts["of-globex"]) == [(0,)]
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            run("UPDATE accounts_account SET organization_id = %s", globex.id)
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            Account._base_manager.bulk_create([Account(name="x", fullname="x", organization_id=globex.id)])
    assert globex.get("/v1/accounts/of-globex").json()["result"]["fullname"] == "of-globex"


def test_keys__of_another_organization__are_not_seen_and_not_destroyed(acme: Api, globex: Api) -> None:
    with scoped(acme.scope):
        assert run("SELECT organization_id FROM core_organizationkey") == [(uuid.UUID(acme.id),)]
        assert run("DELETE FROM core_organizationkey WHERE organization_id = %s", globex.id) == [(0,)]
        assert shred_organization(organization_id=globex.id) == 0
        with pytest.raises(NoKeyError):
            organization_key(organization_id=globex.id)
        with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
            create_organization_key(organization_id=globex.id)
    with scoped(globex.scope):
        assert organization_key(organization_id=globex.id).generation == 1
    assert run("SELECT count(*) FROM core_organizationkey") == [(0,)]
    assert rows_by_version()


def test_requests__one_after_another__each_have_their_own(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    for api, own, other in ((acme, "of-acme", "of-globex"), (globex, "of-globex", "of-acme")) * 2:
        assert [a["name"] for a in api.get("/v1/accounts").json()["result"]] == [own]
        assert api.get(f"/v1/accounts/{accounts[other]}").status_code == 404
        assert Api("", "sqm_wrong").get("/v1/accounts").status_code == 401
        assert names() == set()


def test_request__reading__tells_the_session_in_the_look_up(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    acme.get("/v1/accounts")
    for api in (globex, acme):
        with CaptureQueriesContext(connection) as captured:
            api.get("/v1/accounts")
        statements = [query["sql"] for query in captured.captured_queries]
        assert len(statements) == 2
        assert "synqmgr_find_token" in statements[0]


def test_rolled_back__in_another_scope__is_told_again(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    def look_and_fail() -> None:
        with transaction.atomic(), scoped(globex.scope):
            assert names() == {"of-globex"}
            raise ZeroDivisionError

    with scoped(acme.scope):
        assert names() == {"of-acme"}
        with pytest.raises(ZeroDivisionError):
            look_and_fail()
        assert names() == {"of-acme"}
        with scoped(globex.scope):
            assert names() == {"of-globex"}


def test_failed_statement__in_another_scope__is_rolled_back(acme: Api, globex: Api, accounts: dict[str, str]) -> None:
    with scoped(acme.scope):
        with pytest.raises(ProgrammingError), transaction.atomic(), scoped(globex.scope):
            run("SELECT nothing FROM nowhere")
        assert names() == {"of-acme"}


def test_look_up__before_any_scope__is_the_only_way_to_a_secret(acme: Api, globex: Api) -> None:
    assert run("SELECT count(*) FROM identity_tokensecret") == [(0,)]
    public_id = public_id_of(str(globex.token))
    assert [row[SECRETS.tenant_at] for row in SECRETS.rows(public_id=public_id, kind="access")] == [globex.id]
    assert SECRETS.rows(public_id=public_id, kind="refresh") == []


def test_foreign_key__to_another_organizations_row__is_refused(
    acme: Api, globex: Api, accounts: dict[str, str]
) -> None:
    insert = "INSERT INTO accounts_accountlabel (organization_id, account_id, label) VALUES (%s, %s, 'x')"
    with scoped(acme.scope):
        run(insert, acme.id, accounts["of-acme"])
        with pytest.raises(IntegrityError, match="of_tenant"), transaction.atomic():
            run(insert, acme.id, accounts["of-globex"])


def test_foreign_keys__between_tenants_tables__hold_the_organization(db: None) -> None:
    found = {name for (name,) in run("SELECT conname FROM pg_constraint WHERE contype = 'f'")}
    wanted = {key_name(field) for field in tenant_keys()}
    assert len(wanted) >= 5
    assert wanted <= found


def test_foreign_keys__of_every_table__are_checked_at_once(db: None) -> None:
    deferred = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND condeferred"
    ((table, key),) = run("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' LIMIT 1")
    assert run(deferred) == []
    with as_owner():
        run(f'ALTER TABLE {table} ALTER CONSTRAINT "{key}" DEFERRABLE INITIALLY DEFERRED')
    assert run(deferred) == [(key,)]  # as databases of earlier versions have it
    call_command("migrate", verbosity=0)
    assert run(deferred) == []


def test_delete__of_rows_that_hold_each_other__is_checked_once_they_are_gone(
    acme: Api, accounts: dict[str, str]
) -> None:
    config = {**HTTP_SINK, "authorization": {"type": "token_config", "credential": TOKEN_CONFIG}}
    assert post_integration(acme, "of-acme", config).status_code == 200
    assert acme.delete("/v1/accounts/of-acme").status_code == 204  # before the credential, which refers to it
    with scoped(acme.scope):
        assert run("SELECT count(*) FROM credentials_credential") == [(0,)]


def test_tables__every_one_of_a_tenant__is_locked() -> None:
    locked = {name for (name,) in run("SELECT relname FROM pg_class WHERE relrowsecurity")}
    ours = {m._meta.db_table for m in apps.get_models() if m._meta.app_label in settings.APPS}
    assert locked == set(tenant_columns()) == ours - OF_NO_TENANT


def test_role__of_requests__owns_nothing_and_cannot_unlock(acme: Api) -> None:
    assert run("SELECT count(*) FROM pg_class WHERE pg_has_role(relowner, 'USAGE')") == [(0,)]
    for statement in (
        "ALTER TABLE accounts_account DISABLE ROW LEVEL SECURITY",
        "TRUNCATE accounts_account CASCADE",
        f"CREATE TABLE x_{new_id()[:8]} ()",
    ):
        with pytest.raises(ProgrammingError), transaction.atomic():
            run(statement)


def test_migrate__again__changes_nothing(acme: Api, accounts: dict[str, str]) -> None:
    with CaptureQueriesContext(connection) as captured:
        call_command("migrate", verbosity=0)
    assert [q["sql"] for q in captured.captured_queries if q["sql"].startswith(("ALTER", "DROP", "CREATE P"))] == []
    with scoped(acme.scope):
        assert names() == {"of-acme"}
