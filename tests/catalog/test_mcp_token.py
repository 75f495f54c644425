"""Tokens of the MCP surface: what each is good for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from core.columns import new_id
from core.permissions import Principal
from core.tenancy import scoped
from identity.tokens.models import Surface, Token
from identity.tokens.rights import links_of
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import make_account, ok

SCOPES = ["integration-usage", "developer", "management"]  # each with those before it
OPERATIONS = ["ticketing_query_tickets", "siem_query_events"]


def ask(api: Api, scope: Any, **members: Any) -> Any:
    return api.post("/v1/tokens/mcp", {"scope": scope, **members})


def grant_of(token: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    own = token["permissions"]["adhoc_role"]
    return own["permission_set"], own["resources"]


def test_mcp_token__each_scope__grants_its_part(acme: Api) -> None:
    account = make_account(acme)["id"]
    only = {"accounts": {"ids": [account]}}
    testing = {"accounts": {"ids": ["*"], "environments": ["test"]}}
    for scope, permission_set, resources in (
        ({"type": "management"}, "mcp-management", {}),
        ({"type": "management", "environment": "test"}, "mcp-management", testing),
        ({"type": "management", "environment": "test", "account_id": account}, "mcp-management", only),
        ({"type": "integration-usage", "account_id": account}, "mcp-integrations-use-only", only),
        ({"type": "developer", "account_id": account}, "mcp-management", only),
    ):
        made = ok(ask(acme, scope))
        assert grant_of(made) == (permission_set, resources)
        assert made["claims"] == {"scope": scope["type"]}
        with scoped(acme.scope):
            token = Token.objects.get(id=made["permissions"]["id"])
        assert token.surface == Surface.MCP
        links = links_of(orjson.dumps(token.grants).decode(), None)
        principal = Principal(token.id, acme.id, links)
        assert [verb for verb in SCOPES if principal.allows("mcp", verb)] == SCOPES[: SCOPES.index(scope["type"]) + 1]
        caller = Api(acme.id, made["secret"])
        for path in ("/v1/accounts", "/v1/tokens", "/v1/capabilities/connectors"):
            assert_problem(caller.get(path), 403, "forbidden")
        assert_problem(ask(caller, {"type": "management"}), 403)


def test_mcp_token__operations__are_kept_and_shown(acme: Api) -> None:
    scope = {
        "type": "integration-usage",
        "account_id": make_account(acme)["id"],
        "restrict_to_connector_operations": OPERATIONS,
    }
    made = ok(ask(acme, scope))
    assert made["claims"] == {"scope": "integration-usage", "restrict_to_connector_operations": OPERATIONS}
    shown = ok(acme.get(f"/v1/tokens/{made['permissions']['id']}/info"))
    assert shown["primary"]["access"]["claims"] == made["claims"]


@pytest.mark.parametrize("ttl, seconds", [(None, 3600), ("30m", 1800), ("24h", 86_400)])
def test_mcp_token__time_to_live__is_an_hour_or_as_asked(acme: Api, ttl: str | None, seconds: int) -> None:
    made = ok(ask(acme, {"type": "management"}, token_ttl=ttl))
    left = dt.datetime.fromisoformat(made["expires"]) - dt.datetime.now(dt.UTC)
    assert abs(left.total_seconds() - seconds) < 30


@pytest.mark.parametrize(
    "scope, members, at",
    [
        ({"type": "management"}, {"token_ttl": "24h1s"}, "/token_ttl"),
        ({"type": "management"}, {"name": "x"}, "/name"),
        (None, {}, "/scope"),
        ({}, {}, "/scope/type"),
        ({"type": "everything"}, {}, "/scope/type"),
        ({"type": "management", "environment": "stage"}, {}, "/scope/environment"),
        ({"type": "management", "restrict_to_connector_operations": OPERATIONS}, {},
         "/scope/restrict_to_connector_operations"),
        ({"type": "management", "account_id": "north"}, {}, "/scope/account_id"),
        ({"type": "developer"}, {}, "/scope/account_id"),
        ({"type": "developer", "account_id": new_id()}, {}, "/scope/account_id"),
        ({"type": "developer", "account_id": None}, {}, "/scope/account_id"),
    ],
)  # fmt: skip
def test_mcp_token__invalid__is_refused_at_its_place(acme: Api, scope: Any, members: dict[str, Any], at: str) -> None:
    assert_problem(ask(acme, scope, **members), 400, at=at)


@pytest.mark.parametrize("operations, at", [([], ""), (["surprise"], "/0"), ([OPERATIONS[0], 7], "/1")])
def test_mcp_token__unknown_operation__is_refused_at_its_place(acme: Api, operations: list[Any], at: str) -> None:
    account = make_account(acme)["id"]
    scope = {"type": "integration-usage", "account_id": account, "restrict_to_connector_operations": operations}
    assert_problem(ask(acme, scope), 400, at=f"/scope/restrict_to_connector_operations{at}")


def test_mcp_token__account_out_of_reach__does_not_exist(acme: Api, globex: Api) -> None:
    mine, hidden, foreign = make_account(acme)["id"], make_account(acme)["id"], make_account(globex)["id"]
    narrow = acme.issue("account-manager", resources={"accounts": {"ids": [mine]}})
    for account in (hidden, foreign):
        assert_problem(ask(narrow, {"type": "developer", "account_id": account}), 400, at="/scope/account_id")
    made = ok(ask(narrow, {"type": "developer", "account_id": mine}))
    administrator = acme.issue(resources={"accounts": {"ids": [mine]}})
    managing = ok(ask(administrator, {"type": "management"}))  # further limited by the one that asks
    with scoped(acme.scope):
        for each in (made, managing):
            assert Token.objects.get(id=each["permissions"]["id"]).account_id == mine


def test_mcp_token__for_management__is_made_by_administrators_alone(acme: Api) -> None:
    manager, body = acme.issue("account-manager"), {"resources": {}, "permission_set": "mcp-management"}
    assert_problem(ask(manager, {"type": "management"}), 403, "forbidden")
    assert_problem(manager.post("/v1/tokens", body), 403, "forbidden")
    for scope in ("developer", "integration-usage"):
        ok(ask(manager, {"type": scope, "account_id": make_account(acme)["id"]}))
    ok(acme.post("/v1/tokens", body))


def test_mcp_token__of_a_deleted_maker__is_401(acme: Api) -> None:
    maker = acme.issue()
    caller = Api(acme.id, ok(ask(maker, {"type": "management"}))["secret"])
    assert caller.get("/v1/accounts").status_code == 403
    acme.delete(f"/v1/tokens/{maker.token_id}")
    assert caller.get("/v1/accounts").status_code == 401
