"""New secrets, MCP tokens and the organization's own account through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

from typing import Any

import pytest
from synqly.management.common import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
)
from synqly.management.role_base import Resources
from synqly.management.tokens import (
    McpTokenScope_Developer,
    McpTokenScope_IntegrationUsage,
    McpTokenScope_Management,
)

from tests.client.published import Published, exercises, new_name
from tests.server import Server


def new_token(published: Published) -> Any:
    return published.tokens.create_token(resources=Resources(), permission_set="viewer", token_ttl="1h").result


def opens(published: Published, token: Any) -> bool:
    """Whether a primary access secret still opens anything."""
    try:
        published.as_(token.primary.access.secret).accounts.list(limit=1)
    except UnauthorizedError:
        return False
    return True


@exercises("PUT /v1/tokens/{refresh_token_id}/refresh", "DELETE /v1/tokens/{refresh_token_id}/secondary")
def test_token__refreshed__is_the_clients_model(published: Published, live_server_process: Server) -> None:
    first = new_token(published)
    holder = published.as_(first.primary.refresh.secret)
    second = holder.tokens.refresh(first.id).result
    published.exchanges += holder.exchanges  # its bearer is the refresh secret
    assert second.id == first.id
    assert second.secondary.access.expires == first.primary.access.expires
    assert [opens(published, each) for each in (first, second)] == [True, True]
    with pytest.raises(ConflictError):
        holder.tokens.refresh(first.id)
    published.tokens.remove_secondary(first.id)
    assert [opens(published, each) for each in (first, second)] == [False, True]
    assert published.tokens.get(first.id).result.secondary is None
    with pytest.raises(NotFoundError):
        published.as_(second.primary.refresh.secret).tokens.refresh(new_token(published).id)
    with pytest.raises(UnauthorizedError):
        holder.tokens.refresh(first.id)  # it was dropped: somebody has kept a copy
    assert not opens(published, second)
    [news] = [line for line in live_server_process.log.splitlines() if '"reused-secret"' in line and first.id in line]
    assert '"tokens.refresh"' in news


@exercises(
    "PUT /v1/tokens/{owner_id}/{refresh_token_id}/rotate",
    "PUT /v1/tokens/{owner_id}/{refresh_token_id}/reset",
)
def test_token__rotated_and_reset__is_the_clients_model(published: Published) -> None:
    first = new_token(published)
    second = published.tokens.rotate(first.owner_id, first.id).result
    assert [opens(published, each) for each in (first, second)] == [True, True]
    third = published.tokens.reset(first.owner_id, first.id).result
    assert third.secondary is None
    assert [opens(published, each) for each in (first, second, third)] == [False, False, True]
    with pytest.raises(NotFoundError):
        published.tokens.rotate(first.id, first.id)
    shown = published.tokens.list(filter=f"name[eq]{first.name}").result[0]
    assert set(shown.primary.access.claims) == {"last_used_at", "last_used_from"}


@exercises("PUT /v1/tokens/{owner_id}/{refresh_token_id}/rotate")
def test_token__of_an_integration__is_rotated_by_the_integrations_id(published: Published) -> None:
    account = published.accounts.create(name=new_name("west")).result.account
    mock = {"type": "ticketing_mock_ticketing"}
    made = published.integrations.create(account.id, provider_config=mock).result
    rotated = published.tokens.rotate(made.integration.id, made.integration.refresh_token_id).result
    assert (rotated.owner_type, rotated.owner_id) == ("integration", made.integration.id)
    assert rotated.secondary.access.expires == made.token.access.expires


@exercises("POST /v1/tokens/mcp")
def test_mcp_token__of_each_scope__is_the_clients_model(published: Published) -> None:
    account = published.accounts.create(name=new_name("mcp")).result.account
    operations = ["ticketing_query_tickets"]
    usage = McpTokenScope_IntegrationUsage(account_id=account.id, restrict_to_connector_operations=operations)
    for scope, permission_set in (
        (McpTokenScope_Management(), "mcp-management"),
        (McpTokenScope_Management(environment="test"), "mcp-management"),
        (McpTokenScope_Developer(account_id=account.id), "mcp-management"),
        (usage, "mcp-integrations-use-only"),
    ):
        token = published.tokens.create_mcp_token(scope=scope, token_ttl="2h").result
        assert token.permissions.adhoc_role.permission_set == permission_set
        with pytest.raises(ForbiddenError):
            published.as_(token.secret).accounts.list()
    assert token.claims["restrict_to_connector_operations"] == operations
    with pytest.raises(BadRequestError):
        published.tokens.create_mcp_token(scope=McpTokenScope_Management(), token_ttl="25h")


@exercises("POST /v1/tokens/synqly-integrations")
def test_own_account__token_asked_for__is_the_clients_model(published: Published) -> None:
    made = published.tokens.create_synqly_integrations_token(token_ttl="1h").result
    again = published.tokens.create_synqly_integrations_token().result
    assert (made.account_id, made.token.token_ttl, again.token.token_ttl) == (again.account_id, "1h", "24h")
    theirs = published.as_(made.token.primary.access.secret)
    assert [each.name for each in theirs.accounts.list().result] == ["synqly-integrations"]
