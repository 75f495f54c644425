"""Accounts and tokens through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.accounts import ProvisionedTokenRequest
from synqly.management.common import NotFoundError, UnauthorizedError
from synqly.management.common.types import PatchOperation
from synqly.management.permissionset_base import Permissions
from synqly.management.role_base import Resources, RoleAccounts

from tests.client.published import Published, exercises, members, new_name


@exercises(
    "GET /v1/accounts",
    "POST /v1/accounts",
    "GET /v1/accounts/{account_id}",
    "PUT /v1/accounts/{account_id}",
    "PATCH /v1/accounts/{account_id}",
    "DELETE /v1/accounts/{account_id}",
)
def test_account__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("north")
    made = published.accounts.create(name=name, fullname="North", environment="test", labels=["gold"]).result.account
    assert published.accounts.get(made.id).result == made
    assert published.accounts.get(name).result == made  # a name instead of the id

    updated = published.accounts.update(name, **members(made) | {"fullname": "Northern"}).result
    assert updated.updated_at > made.updated_at
    add = PatchOperation(op="add", path="/labels/-", value="eu")
    patched = published.accounts.patch(name, request=[add]).result
    assert (patched.fullname, patched.labels) == ("Northern", ["gold", "eu"])

    listed = published.accounts.list(filter=f"name[eq]{name}", total=True)
    assert (listed.result, listed.total) == ([patched], 1)
    published.accounts.delete(name)
    for gone in (made.id, name):
        with pytest.raises(NotFoundError):
            published.accounts.delete(gone)  # the second time there is nothing to delete
    assert published.accounts.list(filter=f"name[eq]{name}").result == []


def test_account__nothing_given__is_named_by_its_id(published: Published) -> None:
    account = published.accounts.create().result.account
    assert account.name == account.fullname == account.id
    assert (account.environment, account.labels) == ("prod", [])


def test_account__token_block__gives_a_token_of_that_account_only(published: Published) -> None:
    other = published.accounts.create(name=new_name("other")).result.account
    asked = ProvisionedTokenRequest(permission_set="account-manager", token_ttl="1h", fullname="For the account")
    result = published.accounts.create(name=new_name("south"), token=asked).result
    assert (result.token.fullname, result.token.token_ttl) == ("For the account", "1h")
    theirs = published.as_(result.token.primary.access.secret)
    assert [account.id for account in theirs.accounts.list().result] == [result.account.id]
    with pytest.raises(NotFoundError):
        theirs.accounts.get(other.id)


@exercises(
    "GET /v1/tokens",
    "POST /v1/tokens",
    "GET /v1/tokens/{refresh_token_id}/info",
    "DELETE /v1/tokens/{refresh_token_id}",
)
def test_token__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    account = published.accounts.create(name=new_name("east")).result.account
    name = new_name("reader")
    resources = Resources(accounts=RoleAccounts(ids=[account.id]))
    made = published.tokens.create_token(
        name=name, fullname="Reader", resources=resources, permission_set=Permissions.VIEWER, token_ttl="30m"
    ).result
    secret = made.primary.access.secret
    assert secret.startswith("sqm_")
    assert made.primary.access.permissions.adhoc_role.permission_set == "viewer"
    shown = published.tokens.get(name).result
    assert shown.primary.access.secret == f"{secret.rpartition('_')[0]}_***"
    assert published.tokens.get(made.id).result == shown
    assert published.tokens.list(filter=f"name[eq]{name}", order="created_at[desc]", limit=5).result == [shown]

    theirs = published.as_(secret)
    assert [each.id for each in theirs.accounts.list().result] == [account.id]
    published.tokens.delete(name)
    with pytest.raises(UnauthorizedError):
        theirs.accounts.list()
    with pytest.raises(NotFoundError):
        published.tokens.delete(made.id)


@pytest.mark.parametrize("permission_set", ["administrator", "viewer", "member", "account-manager", "connect-ui",
                                            "token-issuer", "mcp-integrations-use-only", "mcp-management",
                                            "account-provisioner"])  # fmt: skip
def test_token__every_permission_set__is_the_clients_model(published: Published, permission_set: str) -> None:
    assert permission_set in [word.value for word in Permissions]
    account = published.accounts.create(name=new_name("set")).result.account
    resources = Resources(accounts=RoleAccounts(ids=[account.id]))
    made = published.tokens.create_token(resources=resources, permission_set=permission_set).result
    assert (made.token_ttl, made.owner_type, made.token_type) == (
        "1h" if permission_set.startswith("mcp") else "24h",
        "organization",
        "adhoc",
    )
    published.tokens.delete(made.id)
