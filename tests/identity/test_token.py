"""Tokens: what they may do, how they shrink, and how they end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.columns import new_id
from core.tenancy import scoped
from identity.permissionsets.sets import Permissions
from identity.tokens.models import Surface, TokenSecret
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import (
    make_account,
    make_credential,
    make_integration,
    make_point,
    make_token,
    ok,
    post_integration,
    signed_by,
    with_token,
)

TEST_ONLY = {"accounts": {"ids": ["*"], "environments": ["test"]}}
PROD_ONLY = {"accounts": {"ids": ["*"], "environments": ["prod"]}}

A_UUID = "019c1472-8c00-7a11-9d6e-2f6c3b1f5a07"


def names(api: Api, path: str = "/v1/accounts") -> set[str]:
    return {each["name"] for each in ok(api.get(path, query={"limit": 1000}))}


# --- the secrets ---------------------------------------------------------------------------------


def test_token__created__shows_its_secrets_once(acme: Api) -> None:
    made, caller = make_token(acme, "viewer", name="mine")
    secrets = [made["primary"][kind]["secret"] for kind in ("access", "refresh")]
    shown = ok(acme.get("/v1/tokens/mine/info"))
    text = acme.get("/v1/tokens/mine/info").content.decode() + acme.get("/v1/tokens").content.decode()
    assert all(secret not in text for secret in secrets)
    assert shown["primary"]["access"]["secret"] == secrets[0][:21] + "***"
    made["primary"]["access"]["secret"] = shown["primary"]["access"]["secret"]
    made["primary"]["refresh"]["secret"] = shown["primary"]["refresh"]["secret"]
    assert shown == made
    ok(caller.get("/v1/accounts"))


def test_token__refresh_secret__opens_nothing(acme: Api) -> None:
    made, _ = make_token(acme)
    assert_problem(Api(acme.id, made["primary"]["refresh"]["secret"]).get("/v1/accounts"), 401)


def test_token__expired__is_401(acme: Api) -> None:
    made, caller = make_token(acme)
    ok(caller.get("/v1/accounts"))
    with scoped(acme.scope):
        TokenSecret.objects.filter(token_id=made["id"]).update(expires=dt.datetime.now(dt.UTC))
    assert_problem(caller.get("/v1/accounts"), 401, "unauthenticated")


@pytest.mark.parametrize("at", [0, 4, 10, 20, 21, 40, 63, 64, 69])
def test_token__one_character_off__is_401(acme: Api, at: int) -> None:
    assert acme.token is not None
    changed = acme.token[:at] + ("x" if acme.token[at] != "x" else "y") + acme.token[at + 1 :]
    assert_problem(Api(acme.id, changed).get("/v1/accounts"), 401, "unauthenticated")


@pytest.mark.parametrize("surface", [Surface.CONNECTORS, Surface.MCP])
def test_token__of_another_surface__is_403_on_the_management_api(acme: Api, surface: Surface) -> None:
    elsewhere = acme.issue(Permissions.ADMINISTRATOR, surface=surface)
    for path in ("/v1/accounts", "/v1/tokens", "/v1/organization", "/v1/capabilities/providers"):
        assert_problem(elsewhere.get(path), 403, "forbidden")
    assert_problem(elsewhere.post("/v1/accounts", {}), 403)


@pytest.mark.parametrize("permission_set", ["mcp-integrations-use-only", "mcp-management"])
def test_token__for_mcp__is_403_on_the_management_api(acme: Api, permission_set: str) -> None:
    _, caller = make_token(acme, permission_set, resources={"accounts": {"ids": [make_account(acme)["id"]]}})
    assert_problem(caller.get("/v1/accounts"), 403)


@pytest.mark.parametrize("resources", [{}, {"accounts": {"ids": ["*"]}}, {"integrations": {"categories": ["*"]}}])
def test_token__for_the_use_of_integrations__names_one_account(acme: Api, resources: dict[str, Any]) -> None:
    body = {"resources": resources, "permission_set": "mcp-integrations-use-only"}
    assert_problem(acme.post("/v1/tokens", body), 400, at="/resources/accounts/ids")
    two = {"accounts": {"ids": [make_account(acme)["id"], make_account(acme)["id"]]}}
    assert_problem(acme.post("/v1/tokens", body | {"resources": two}), 400, at="/resources/accounts/ids")


def test_token__of_an_integration__is_403_on_the_management_api(acme: Api) -> None:
    account = make_account(acme)["id"]
    made = ok(post_integration(acme, account))
    own = with_token(acme, made["token"])
    short = ok(acme.post(f"/v1/tokens/{account}/{made['integration']['id']}"))
    for caller in (own, Api(acme.id, short["secret"])):
        assert_problem(caller.get(f"/v1/integrations/{account}/{made['integration']['id']}"), 403)
        assert_problem(caller.get("/v1/accounts"), 403)


# --- asking for one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mcp", "synqly-integrations", "No", "", "a b", "é", "019c1472-8c00-7a11-9d6e-2f6c3b1f5a07"]
)
def test_token__invalid_name__is_refused(acme: Api, name: str) -> None:
    body = {"name": name, "resources": {}, "permission_set": "viewer"}
    assert_problem(acme.post("/v1/tokens", body), 400, at="/name")
    account = make_account(acme)["id"]
    integration = make_integration(acme, account)["id"]
    assert_problem(acme.post(f"/v1/tokens/{account}/{integration}", {"name": name}), 400, at="/name")


@pytest.mark.parametrize(
    "ttl", ["", "0s", "0h0m", "1d", "-1h", "8760h1s", "999999h", "1.5h", "1h ", " 1h", "1m1h", "\u0661h", 60, None]
)
def test_token__invalid_time_to_live__is_refused(acme: Api, ttl: Any) -> None:
    body = {"resources": {}, "permission_set": "viewer", "token_ttl": ttl}
    if ttl is None:
        assert ok(acme.post("/v1/tokens", body))["token_ttl"] == "24h"
    else:
        assert_problem(acme.post("/v1/tokens", body), 400, at="/token_ttl")


@pytest.mark.parametrize("ttl, seconds", [("1s", 1), ("10s", 10), ("30m", 1800), ("720h", 2_592_000), ("1h30m", 5400)])
def test_token__time_to_live__sets_the_end(acme: Api, ttl: str, seconds: int) -> None:
    made, _ = make_token(acme, "viewer", token_ttl=ttl)
    expires = dt.datetime.fromisoformat(made["primary"]["access"]["expires"])
    assert abs((expires - dt.datetime.now(dt.UTC)).total_seconds() - seconds) < 30


def test_token__time_to_live__ends_with_its_parents_at_the_latest(acme: Api) -> None:
    parent, caller = make_token(acme, token_ttl="1h")
    child, _ = make_token(caller, token_ttl="720h")
    assert child["primary"]["access"]["expires"] == parent["primary"]["access"]["expires"]
    assert child["expires"] == parent["expires"]


@pytest.mark.parametrize(
    "resources, at",
    [
        ({"accounts": {}}, "/resources/accounts/ids"),
        ({"accounts": {"ids": []}}, "/resources/accounts/ids"),
        ({"accounts": {"ids": ["north"]}}, "/resources/accounts/ids/0"),
        ({"accounts": {"ids": ["*", new_id()]}}, "/resources/accounts/ids/1"),
        ({"accounts": {"ids": ["*"], "labels": []}}, "/resources/accounts/labels"),
        ({"accounts": {"ids": ["*"], "environments": ["stage"]}}, "/resources/accounts/environments/0"),
        ({"integrations": {"categories": []}}, "/resources/integrations/categories"),
        ({"organizations": {"ids": [new_id()]}}, "/resources/organizations/ids/0"),
        ({"unknown": {}}, "/resources/unknown"),
        ([], "/resources"),
    ],
)
def test_token__invalid_resources__are_refused_at_their_place(acme: Api, resources: Any, at: str) -> None:
    assert_problem(acme.post("/v1/tokens", {"resources": resources, "permission_set": "viewer"}), 400, at=at)


@pytest.mark.parametrize(
    "own, asked",
    [
        ("account-manager", "administrator"),
        ("account-manager", "viewer"),
        ("account-manager", "member"),
        ("account-manager", "account-provisioner"),
    ],
)
def test_token__more_than_the_asking_one__is_403(acme: Api, own: str, asked: str) -> None:
    _, caller = make_token(acme, own)
    assert_problem(caller.post("/v1/tokens", {"resources": {}, "permission_set": asked}), 403, "forbidden")


def test_token__account_hidden_from_the_asking_one__does_not_exist(acme: Api, globex: Api) -> None:
    mine, hidden = make_account(acme)["id"], make_account(acme)["id"]
    foreign = make_account(globex)["id"]
    _, caller = make_token(acme, "account-manager", resources={"accounts": {"ids": [mine]}})
    answers = [
        caller.post("/v1/tokens", {"resources": {"accounts": {"ids": [each]}}, "permission_set": "connect-ui"})
        for each in (hidden, foreign, new_id())
    ]
    for answer in answers:
        assert_problem(answer, 400, at="/resources/accounts/ids/0")
    assert len({answer.json()["message"] for answer in answers}) == 1


# --- narrowing -----------------------------------------------------------------------------------


@pytest.fixture
def cast(acme: Api) -> dict[str, dict[str, Any]]:
    """Four accounts that differ in environment and labels."""
    return {
        "a": make_account(acme, name="a", environment="test", labels=["gold", "eu"]),
        "b": make_account(acme, name="b", environment="test", labels=["gold"]),
        "c": make_account(acme, name="c", environment="prod", labels=["eu"]),
        "d": make_account(acme, name="d", environment="prod"),
    }


@pytest.mark.parametrize(
    "accounts, seen",
    [
        ({"ids": ["*"]}, "abcd"),
        ({"ids": ["a", "d"]}, "ad"),
        ({"ids": ["*"], "environments": ["test"]}, "ab"),
        ({"ids": ["*"], "environments": ["test", "prod"]}, "abcd"),
        ({"ids": ["*"], "labels": ["gold"]}, "ab"),
        ({"ids": ["*"], "labels": ["gold", "eu"]}, "abc"),
        ({"ids": ["a", "c"], "environments": ["test"]}, "a"),
        ({"ids": ["*"], "environments": ["prod"], "labels": ["gold"]}, ""),
    ],
)
def test_token__narrowed__reaches_what_passes_all_of_it(
    acme: Api, cast: dict[str, dict[str, Any]], accounts: dict[str, Any], seen: str
) -> None:
    integrations = {name: make_integration(acme, account["id"]) for name, account in cast.items()}
    credentials = {name: make_credential(acme, account["id"]) for name, account in cast.items()}
    ids = [each if each == "*" else cast[each]["id"] for each in accounts["ids"]]
    _, caller = make_token(acme, "account-manager", resources={"accounts": {**accounts, "ids": ids}})
    assert names(caller) == set(seen)
    total = caller.get("/v1/accounts", query={"total": "true", "limit": 1}).json()["total"]
    assert total == len(seen)
    listed = {each["id"] for each in ok(caller.get("/v1/integrations"))}
    assert listed == {integrations[name]["id"] for name in seen}
    for name, account in cast.items():
        status = 200 if name in seen else 404
        paths = (
            f"/v1/accounts/{account['id']}",
            f"/v1/accounts/{name}",
            f"/v1/integrations/{account['id']}/{integrations[name]['id']}",
            f"/v1/integrations/{account['id']}",
            f"/v1/credentials/{account['id']}",
            f"/v1/credentials/{account['id']}/{credentials[name]['id']}",
            f"/v1/credentials/lookup/{credentials[name]['id']}",
            f"/v1/tokens/{integrations[name]['refresh_token_id']}/info",
        )
        assert {path: caller.get(path).status_code for path in paths} == dict.fromkeys(paths, status)


def test_token__chain__passes_every_link(acme: Api, cast: dict[str, dict[str, Any]]) -> None:
    _, first = make_token(acme, "account-manager", resources={"accounts": {"ids": ["*"], "labels": ["gold"]}})
    _, second = make_token(first, "account-manager", resources={"accounts": {"ids": ["*"], "labels": ["eu"]}})
    _, third = make_token(second, "account-manager", resources=TEST_ONLY)
    _, fourth = make_token(third, "account-manager", resources=PROD_ONLY)
    assert [names(each) for each in (first, second, third, fourth)] == [{"a", "b"}, {"a"}, {"a"}, set()]
    assert_problem(fourth.get(f"/v1/accounts/{cast['a']['id']}"), 404)
    assert_problem(fourth.post("/v1/accounts", {"name": "new"}), 403)
    assert names(acme) == set("abcd")


def test_token__narrowed__cannot_create_or_move_outside(acme: Api, cast: dict[str, dict[str, Any]]) -> None:
    _, tester = make_token(acme, "account-manager", resources=TEST_ONLY)
    assert_problem(tester.post("/v1/accounts", {"name": "new"}), 403, "forbidden")
    make_account(tester, name="new", environment="test")
    _, golden = make_token(acme, "account-manager", resources={"accounts": {"ids": ["*"], "labels": ["gold"]}})
    assert_problem(golden.post("/v1/accounts", {"name": "plain"}), 403)
    operations = [{"op": "replace", "path": "/labels", "value": ["silver"]}]
    assert_problem(golden.patch("/v1/accounts/b", operations), 403)
    _, mine = make_token(acme, "account-manager", resources={"accounts": {"ids": [cast["a"]["id"]]}})
    assert_problem(mine.post("/v1/accounts", {"name": "other"}), 403)
    assert names(acme) == {*"abcd", "new"}
    assert ok(acme.get("/v1/accounts/b"))["labels"] == ["gold"]


def test_token__narrowed_by_category__reaches_these_integrations_only(acme: Api) -> None:
    account = make_account(acme)["id"]
    mock = {"type": "ticketing_mock_ticketing"}
    sink, ticketing = make_integration(acme, account), make_integration(acme, account, mock)
    point = make_point(acme, name="sinks")
    _, caller = make_token(acme, "account-manager", resources={"integrations": {"categories": ["ticketing"]}})
    assert [each["id"] for each in ok(caller.get("/v1/integrations"))] == [ticketing["id"]]
    assert_problem(caller.get(f"/v1/integrations/{account}/{sink['id']}"), 404)
    assert_problem(caller.delete(f"/v1/integrations/{account}/{sink['id']}"), 404)
    assert_problem(post_integration(caller, account), 403)
    assert_problem(caller.post(f"/v1/tokens/{account}/{sink['id']}"), 404)
    assert_problem(caller.get(f"/v1/credentials/{sink['id']}"), 404)
    make_integration(caller, account, mock)
    assert_problem(caller.get(f"/v1/integration-points/{point['id']}"), 404)
    verify = caller.post(f"/v1/integrations/{account}/verify", {"integration": {"provider_config": signed_by("x")}})
    assert_problem(verify, 400)


@pytest.mark.parametrize("resources", [TEST_ONLY, {"accounts": {"ids": ["*"], "labels": ["gold"]}}])
def test_token__narrowed__neither_sees_nor_ends_tokens_of_others(acme: Api, resources: dict[str, Any]) -> None:
    _, caller = make_token(acme, "account-manager", resources=resources)
    assert ok(caller.get("/v1/tokens")) == []
    assert_problem(caller.get(f"/v1/tokens/{acme.token_id}/info"), 404)
    assert_problem(caller.delete(f"/v1/tokens/{acme.token_id}"), 404)
    ok(acme.get("/v1/tokens"))


# --- the end -------------------------------------------------------------------------------------


def test_token__deleted__ends_its_whole_line_at_once(acme: Api) -> None:
    first, one = make_token(acme)
    _, two = make_token(one)
    _, three = make_token(two)
    _, sibling = make_token(acme)
    assert three.delete(f"/v1/tokens/{first['id']}").status_code == 204
    for caller in (one, two, three):
        assert_problem(caller.get("/v1/accounts"), 401, "unauthenticated")
    ok(sibling.get("/v1/accounts"))
    assert len(ok(acme.get("/v1/tokens"))) == 2


def test_token__ends_itself__is_401_afterwards(acme: Api) -> None:
    made, caller = make_token(acme)
    assert caller.delete(f"/v1/tokens/{made['id']}").status_code == 204
    assert_problem(caller.get("/v1/accounts"), 401)


def test_token__derived_for_an_integration__ends_with_the_one_that_asked(acme: Api) -> None:
    account = make_account(acme)["id"]
    integration = make_integration(acme, account)["id"]
    parent, caller = make_token(acme, "token-issuer")
    derived = Api(acme.id, ok(caller.post(f"/v1/tokens/{account}/{integration}"))["secret"])
    assert derived.get("/v1/accounts").status_code == 403
    acme.delete(f"/v1/tokens/{parent['id']}")
    assert derived.get("/v1/accounts").status_code == 401


def test_token__of_a_deleted_integration__is_401(acme: Api) -> None:
    account = make_account(acme)["id"]
    made = ok(post_integration(acme, account))
    own = with_token(acme, made["token"])
    assert own.get("/v1/accounts").status_code == 403
    acme.delete(f"/v1/integrations/{account}/{made['integration']['id']}")
    assert own.get("/v1/accounts").status_code == 401
