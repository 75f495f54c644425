"""Accounts: names, labels, environment, the token block, and what ends with an account."""

from __future__ import annotations

from typing import Any

import pytest

from core.columns import new_id
from identity.permissionsets.sets import Permissions
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_credential, make_integration, make_token, ok, with_token

# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fullname", "name"),
    [
        ("North Wind", "north-wind"),
        ("  Größe & Söhne  GmbH ", "groe-sohne-gmbh"),
        ("Ünï_cödé 99", "uni_code-99"),
        ("ﬁn ½", "fin-12"),
        ("a" * 255, "a" * 128),
        ("--x--", "x"),
    ],
)
def test_account__fullname_alone__names_it_by_its_slug(acme: Api, fullname: str, name: str) -> None:
    made = make_account(acme, fullname=fullname)
    assert (made["name"], made["fullname"]) == (name, fullname)
    assert ok(acme.get(f"/v1/accounts/{name}")) == made


@pytest.mark.parametrize("fullname", ["日本語", "!?", "😀", "\u202e", "lookup", "Lookup!"])
def test_account__fullname_that_makes_no_name__is_named_by_its_id(acme: Api, fullname: str) -> None:
    made = make_account(acme, fullname=fullname)
    assert (made["name"], made["fullname"]) == (made["id"], fullname)


A_UUID = "019c1472-8c00-7a11-9d6e-2f6c3b1f5a07"


def test_account__neither_name_nor_fullname__is_named_by_its_id(acme: Api) -> None:
    made = make_account(acme)
    assert made["name"] == made["fullname"] == made["id"]


def test_account__no_fullname__has_its_name_as_one(acme: Api) -> None:
    assert make_account(acme, name="north")["fullname"] == "north"


def test_account__slug_taken__is_made_unique(acme: Api) -> None:
    names = [make_account(acme, fullname="North Wind")["name"] for _ in range(3)]
    assert names[0] == "north-wind"
    assert len(set(names)) == 3
    assert all(name.startswith("north-wind-") and len(name) == 23 for name in names[1:])


def test_account__long_slug_taken__stays_within_the_longest_name(acme: Api) -> None:
    names = {make_account(acme, fullname="n" * 200)["name"] for _ in range(2)}
    assert {len(name) for name in names} == {128}


def test_account__fullname_like_the_id_of_another__does_not_take_that_id_as_name(acme: Api) -> None:
    first = make_account(acme, name="first")
    second = make_account(acme, fullname=first["id"])
    assert second["name"] == second["id"]
    assert ok(acme.get(f"/v1/accounts/{first['id']}"))["name"] == "first"


@pytest.mark.parametrize("name", ["north", "~demo", "a", "0", "_-", "n" * 128, "~" + "n" * 128])
def test_account__valid_name__is_kept(acme: Api, name: str) -> None:
    assert make_account(acme, name=name)["name"] == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "~",
        "~~a",
        "North",
        "a b",
        "a.b",
        "a/b",
        "é",
        "a\n",
        "n" * 129,
        "~" + "n" * 129,
        "019c1472-8c00-7a11-9d6e-2f6c3b1f5a07",
        "lookup",
    ],
)
def test_account__invalid_name__is_refused(acme: Api, name: str) -> None:
    assert_problem(acme.post("/v1/accounts", {"name": name}), 400, at="/name")
    made = make_account(acme, name="valid")
    assert_problem(acme.put("/v1/accounts/valid", {**made, "name": name}), 400, at="/name")


def test_account__own_id_as_name__can_be_sent_back(acme: Api) -> None:
    made = make_account(acme)
    changed = ok(acme.put(f"/v1/accounts/{made['id']}", {**made, "fullname": "Renamed"}))
    assert (changed["name"], changed["fullname"]) == (made["id"], "Renamed")


def test_account__name_taken__is_409_within_the_organization_alone(acme: Api, globex: Api) -> None:
    make_account(acme, name="north")
    assert_problem(acme.post("/v1/accounts", {"name": "north"}), 409, "duplicate-name", at="/name")
    make_account(globex, name="north")
    other = make_account(acme, name="south")
    answer = acme.put("/v1/accounts/south", {**other, "name": "north"})
    assert_problem(answer, 409, "duplicate-name", at="/name")


# --- labels and environment ----------------------------------------------------------------------


@pytest.mark.parametrize("label", ["a", "eu-west:1", "A.b_C-9", "x" * 48])
def test_account__valid_label__is_kept(acme: Api, label: str) -> None:
    made = make_account(acme, labels=[label, label])
    assert made["labels"] == [label]
    found = ok(acme.get("/v1/accounts", query={"filter": f"labels[eq]{label}"}))
    assert [each["id"] for each in found] == [made["id"]]


@pytest.mark.parametrize("label", ["", "a b", "é", "x" * 49, "a/b", "a\n", 1, None, ["a"], True])
def test_account__invalid_label__is_refused_at_its_place(acme: Api, label: Any) -> None:
    assert_problem(acme.post("/v1/accounts", {"labels": ["fine", label]}), 400, at="/labels/1")


def test_account__more_than_100_labels__is_refused(acme: Api) -> None:
    assert_problem(acme.post("/v1/accounts", {"labels": [f"l{i}" for i in range(101)]}), 400, at="/labels")


def test_account__labels_replaced__are_found_by_the_new_ones_only(acme: Api) -> None:
    made = make_account(acme, name="north", labels=["gold", "eu"])
    ok(acme.patch("/v1/accounts/north", [{"op": "replace", "path": "/labels", "value": ["silver"]}]))
    for label, expected in (("gold", []), ("eu", []), ("silver", [made["id"]])):
        found = ok(acme.get("/v1/accounts", query={"filter": f"labels[eq]{label}"}))
        assert [each["id"] for each in found] == expected


def test_account__environment__is_prod_unless_given_and_fixed(acme: Api) -> None:
    assert make_account(acme)["environment"] == "prod"
    made = make_account(acme, name="trial", environment="test")
    assert_problem(acme.put("/v1/accounts/trial", {**made, "environment": "prod"}), 400, at="/environment")
    answer = acme.patch("/v1/accounts/trial", [{"op": "replace", "path": "/environment", "value": "prod"}])
    assert_problem(answer, 400, "invalid-patch", at="/0/path")
    assert ok(acme.get("/v1/accounts/trial")) == made


@pytest.mark.parametrize("environment", ["", "Test", "staging", 1, ["test"], {}])
def test_account__unknown_environment__is_refused(acme: Api, environment: Any) -> None:
    assert_problem(acme.post("/v1/accounts", {"environment": environment}), 400, at="/environment")


# --- the token block -----------------------------------------------------------------------------


def count(api: Api, path: str) -> int:
    return len(ok(api.get(path)))


@pytest.mark.parametrize("permission_set", ["account-manager", "connect-ui", "token-issuer"])
def test_account__token_block__gives_a_token_for_this_account_alone(acme: Api, permission_set: str) -> None:
    other = make_account(acme, name="other")
    block = {"permission_set": permission_set, "token_ttl": "1h", "name": "theirs"}
    result = ok(acme.post("/v1/accounts", {"name": "north", "token": block}))
    assert result["token"]["name"] == "theirs"
    role = result["token"]["primary"]["access"]["permissions"]["adhoc_role"]
    assert role == {"permission_set": permission_set, "resources": {"accounts": {"ids": [result["account"]["id"]]}}}
    theirs = with_token(acme, result["token"]["primary"])
    expected = {"account-manager": (200, 404), "connect-ui": (200, 404), "token-issuer": (403, 403)}[permission_set]
    seen = tuple(theirs.get(f"/v1/accounts/{each['id']}").status_code for each in (result["account"], other))
    assert seen == expected


@pytest.mark.parametrize(
    "block, at",
    [
        ({}, "/token/permission_set"),
        ({"permission_set": "administrator"}, "/token/permission_set"),
        ({"permission_set": "viewer"}, "/token/permission_set"),
        ({"permission_set": "connect-ui", "token_ttl": "0s"}, "/token/token_ttl"),
        ({"permission_set": "connect-ui", "token_ttl": "8761h"}, "/token/token_ttl"),
        ({"permission_set": "connect-ui", "token_ttl": "\u0663h"}, "/token/token_ttl"),
        ({"permission_set": "connect-ui", "name": "No"}, "/token/name"),
        ({"permission_set": "connect-ui", "name": "mcp"}, "/token/name"),
        ({"permission_set": "connect-ui", "name": new_id()}, "/token/name"),
        ({"permission_set": "connect-ui", "resources": {}}, "/token/resources"),
        ([], "/token"),
        ("connect-ui", "/token"),
    ],
)
def test_account__invalid_token_block__leaves_no_account(acme: Api, block: Any, at: str) -> None:
    assert_problem(acme.post("/v1/accounts", {"name": "north", "token": block}), 400, at=at)
    assert_problem(acme.get("/v1/accounts/north"), 404)


def test_account__token_name_taken__leaves_neither_account_nor_token(acme: Api) -> None:
    make_token(acme, name="theirs")
    before = count(acme, "/v1/tokens")
    block = {"permission_set": "connect-ui", "name": "theirs"}
    answer = acme.post("/v1/accounts", {"name": "north", "labels": ["gold"], "token": block})
    assert_problem(answer, 409, "duplicate-name", at="/token/name")
    assert_problem(acme.get("/v1/accounts/north"), 404)
    assert (count(acme, "/v1/accounts"), count(acme, "/v1/tokens")) == (0, before)


def test_account__token_block_without_the_right__leaves_no_account(acme: Api) -> None:
    manager = acme.issue(Permissions.ACCOUNT_MANAGER)
    answer = manager.post("/v1/accounts", {"name": "north", "token": {"permission_set": "connect-ui"}})
    assert_problem(answer, 403, "forbidden")
    assert count(acme, "/v1/accounts") == 0
    make_account(manager, name="north")


def test_account__provisioner__creates_with_a_token_and_can_do_nothing_else(acme: Api) -> None:
    _, provisioner = make_token(acme, "account-provisioner")
    made = ok(provisioner.post("/v1/accounts", {"name": "north", "token": {"permission_set": "account-manager"}}))
    assert_problem(provisioner.get("/v1/accounts/north"), 403)
    assert_problem(provisioner.delete("/v1/accounts/north"), 403)
    theirs = with_token(acme, made["token"]["primary"])
    assert ok(theirs.get("/v1/accounts")) == [made["account"]]


def test_account__token_of_a_deleted_provisioner__survives(acme: Api) -> None:
    provisioner_token, provisioner = make_token(acme, "account-provisioner")
    made = ok(provisioner.post("/v1/accounts", {"name": "north", "token": {"permission_set": "account-manager"}}))
    assert acme.delete(f"/v1/tokens/{provisioner_token['id']}").status_code == 204
    assert_problem(provisioner.post("/v1/accounts", {}), 401)
    assert ok(with_token(acme, made["token"]["primary"]).get("/v1/accounts/north")) == made["account"]


def test_account__provisioner_of_test_accounts__cannot_make_a_token_for_production(acme: Api) -> None:
    resources = {"accounts": {"ids": ["*"], "environments": ["test"]}}
    _, provisioner = make_token(acme, "account-provisioner", resources=resources)
    block = {"permission_set": "account-manager"}
    before = count(acme, "/v1/tokens")
    assert_problem(provisioner.post("/v1/accounts", {"name": "real", "token": block}), 403)
    assert (count(acme, "/v1/accounts"), count(acme, "/v1/tokens")) == (0, before)
    ok(provisioner.post("/v1/accounts", {"name": "trial", "environment": "test", "token": block}))


# --- the end -------------------------------------------------------------------------------------


def test_account__deleted__takes_integrations_and_credentials_and_leaves_its_tokens_listed(acme: Api) -> None:
    made = ok(acme.post("/v1/accounts", {"name": "north", "token": {"permission_set": "connect-ui", "name": "ui"}}))
    account = made["account"]["id"]
    integration = make_integration(acme, account, name="out")
    credentials = [make_credential(acme, account), make_credential(acme, integration["id"], owner_type="integration")]
    kept = make_account(acme, name="kept")
    kept_credential = make_credential(acme, kept["id"])

    assert acme.delete(f"/v1/accounts/{account}").status_code == 204

    assert_problem(acme.get(f"/v1/integrations/{account}"), 404)
    assert ok(acme.get("/v1/integrations")) == []
    for credential in credentials:
        assert_problem(acme.get(f"/v1/credentials/lookup/{credential['id']}"), 404)
    ok(acme.get(f"/v1/credentials/lookup/{kept_credential['id']}"))
    listed = {token["id"] for token in ok(acme.get("/v1/tokens"))}
    assert {made["token"]["id"], integration["refresh_token_id"]} <= listed
    theirs = with_token(acme, made["token"]["primary"])
    assert_problem(theirs.get(f"/v1/accounts/{account}"), 404)


def test_account__deleted_and_made_again_by_name__is_another(acme: Api) -> None:
    made = ok(acme.post("/v1/accounts", {"name": "north", "token": {"permission_set": "account-manager"}}))
    theirs = with_token(acme, made["token"]["primary"])
    assert acme.delete("/v1/accounts/north").status_code == 204
    again = make_account(acme, name="north")
    assert again["id"] != made["account"]["id"]
    assert_problem(theirs.get("/v1/accounts/north"), 404)
    assert ok(theirs.get("/v1/accounts")) == []
