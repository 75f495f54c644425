"""The account `synqly-integrations`: the organization's own, made by its tokens."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_integration, ok, with_token

PATH = "/v1/tokens/synqly-integrations"


def test_own_account__asked_for__is_made_once(acme: Api, globex: Api) -> None:
    first, second = ok(acme.post(PATH)), ok(acme.post(PATH, {"token_ttl": "1h"}))
    assert first["account_id"] == second["account_id"] == ok(acme.get("/v1/accounts/synqly-integrations"))["id"]
    assert [each["token_ttl"] for each in (first["token"], second["token"])] == ["24h", "1h"]
    assert ok(globex.post(PATH))["account_id"] != first["account_id"]


def test_own_account__its_token__manages_it_alone(acme: Api) -> None:
    other = make_account(acme)["id"]
    made = ok(acme.post(PATH, {}))
    caller = with_token(acme, made["token"]["primary"])
    assert [each["id"] for each in ok(caller.get("/v1/accounts"))] == [made["account_id"]]
    make_integration(caller, made["account_id"])
    assert_problem(caller.get(f"/v1/accounts/{other}"), 404)
    assert_problem(caller.post(PATH), 403, "forbidden")
    acme.delete(f"/v1/tokens/{acme.token_id}")
    assert_problem(caller.get("/v1/accounts"), 401)


@pytest.mark.parametrize("permission_set", ["account-manager", "account-provisioner", "connect-ui", "viewer"])
def test_own_account__without_the_grant__is_403(acme: Api, permission_set: str) -> None:
    assert_problem(acme.issue(permission_set).post(PATH), 403, "forbidden")


def test_own_account__out_of_the_part__is_403_and_not_made(acme: Api) -> None:
    account = make_account(acme)["id"]
    parts: list[dict[str, Any]] = [
        {"accounts": {"ids": [account]}},
        {"accounts": {"ids": ["*"], "environments": ["test"]}},
        {"accounts": {"ids": ["*"], "labels": ["gold"]}},
        {"integrations": {"categories": ["ticketing"]}},
    ]
    for _ in range(2):
        for part in parts:
            assert_problem(acme.issue(resources=part).post(PATH), 403, "forbidden")
        assert len(ok(acme.get("/v1/accounts"))) == 1
    within = acme.issue(resources={"accounts": {"ids": ["*"], "environments": ["prod"]}})
    made = ok(within.post(PATH))
    assert ok(acme.get("/v1/accounts/synqly-integrations"))["id"] == made["account_id"]
    for part in parts:
        assert_problem(acme.issue(resources=part).post(PATH), 403, "forbidden")


def test_own_account__its_name__is_nobodys_to_take(acme: Api) -> None:
    assert_problem(acme.post("/v1/accounts", {"name": "synqly-integrations"}), 400, at="/name")
    assert make_account(acme, fullname="Synqly integrations")["name"] != "synqly-integrations"
    made = make_account(acme)
    assert_problem(acme.put(f"/v1/accounts/{made['id']}", {**made, "name": "synqly-integrations"}), 400, at="/name")
    ok(acme.post(PATH))
    own = ok(acme.get("/v1/accounts/synqly-integrations"))
    assert ok(acme.put(f"/v1/accounts/{own['id']}", {**own, "labels": ["own"]}))["labels"] == ["own"]


@pytest.mark.parametrize("body", [{"name": "x"}, {"token_ttl": "1d"}, {"allowed_networks": []}, []])
def test_own_account__invalid_body__is_400(acme: Api, body: Any) -> None:
    assert_problem(acme.post(PATH, body), 400)
    assert ok(acme.get("/v1/accounts")) == []
