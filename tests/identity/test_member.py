"""Members and roles: who may act, and that it holds on the next request."""

from __future__ import annotations

from typing import Any

import pytest

from core.tenancy import scoped
from identity.members.models import Member
from identity.tokens.models import TokenType
from identity.tokens.services import TokenSpec, issue_token
from tests.api import Api
from tests.contract.problems import assert_problem

SECRET = "seven horses eat paper"


def make_member(api: Api, name: str = "ada@example.com", **body: Any) -> dict[str, Any]:
    answer = api.post("/v1/members", {"name": name, "secret": SECRET, **body})
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()["result"]["member"]
    return shown


def make_role(api: Api, permission_set: str, **body: Any) -> str:
    answer = api.post("/v1/roles", {"permission_set": permission_set, **body})
    assert answer.status_code == 200, answer.content
    return str(answer.json()["result"]["name"])


def session_of(api: Api, member: dict[str, Any]) -> Api:
    """The member's own token."""
    spec = TokenSpec(permission_set=None, token_type=TokenType.LOGON, member_id=member["id"])
    with scoped(api.scope):
        issued = issue_token(spec=spec)
    return Api(api.id, issued.secrets["access"], issued.token.id)


def update(api: Api, member: dict[str, Any], **changes: Any) -> Any:
    shown = api.get(f"/v1/members/{member['id']}").json()["result"]
    return api.put(f"/v1/members/{member['id']}", shown | changes)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["name"] for each in answer.json()["result"]]


@pytest.fixture
def accounts(acme: Api) -> dict[str, str]:
    """Three accounts, by name."""
    bodies = [
        {"name": "gold", "labels": ["gold"], "environment": "prod"},
        {"name": "lead", "labels": ["lead"], "environment": "prod"},
        {"name": "trial", "labels": ["gold"], "environment": "test"},
    ]
    made = [acme.post("/v1/accounts", body).json()["result"]["account"] for body in bodies]
    return {each["name"]: each["id"] for each in made}


# --- roles ---------------------------------------------------------------------------------------


def test_roles__of_a_new_organization__are_the_built_in(acme: Api) -> None:
    assert names(acme.get("/v1/roles")) == ["administrator", "member", "root_administrator", "viewer"]
    shown = acme.get("/v1/roles/viewer").json()["result"]
    assert_problem(acme.delete("/v1/roles/viewer"), 403, "forbidden")
    assert_problem(acme.put("/v1/roles/viewer", shown | {"permission_set": "administrator"}), 403, "forbidden")
    assert_problem(acme.post("/v1/roles", {"name": "viewer", "permission_set": "viewer"}), 409, "duplicate-name")


def test_role__several_of_a_member__one_that_allows_is_enough(acme: Api, accounts: dict[str, str]) -> None:
    reads_gold = make_role(acme, "viewer", name="r", resources={"accounts": {"ids": ["*"], "labels": ["gold"]}})
    manages_lead = make_role(acme, "account-manager", name="m", resources={"accounts": {"ids": [accounts["lead"]]}})
    member = session_of(acme, make_member(acme, role_binding=[reads_gold, manages_lead]))
    assert names(member.get("/v1/accounts")) == ["gold", "lead", "trial"]
    assert_problem(member.patch(f"/v1/accounts/{accounts['gold']}", []), 404, "not-found")
    assert member.patch(f"/v1/accounts/{accounts['lead']}", []).status_code == 200
    assert names(member.get("/v1/accounts", query={"filter": "labels[eq]lead"})) == ["lead"]
    assert member.get("/v1/accounts", query={"total": "true"}).json()["total"] == 3


def test_role__label_and_environment__must_both_pass(acme: Api, accounts: dict[str, str]) -> None:
    resources = {"accounts": {"ids": ["*"], "labels": ["gold"], "environments": ["test"]}}
    role = make_role(acme, "viewer", resources=resources)
    member = session_of(acme, make_member(acme, role_binding=[role]))
    assert names(member.get("/v1/accounts")) == ["trial"]
    assert_problem(member.get(f"/v1/accounts/{accounts['gold']}"), 404, "not-found")


def test_role__changed__holds_on_the_next_request(acme: Api, accounts: dict[str, str]) -> None:
    role = make_role(acme, "account-manager", name="changing")
    member = session_of(acme, make_member(acme, role_binding=[role]))
    assert member.post("/v1/accounts", {"name": "new"}).status_code == 200
    shown = acme.get("/v1/roles/changing").json()["result"]
    narrowed = {"accounts": {"ids": [accounts["lead"]]}}
    changed = acme.put("/v1/roles/changing", shown | {"name": "renamed", "resources": narrowed})
    assert changed.status_code == 200
    assert names(member.get("/v1/accounts")) == ["lead"]
    assert names(acme.get("/v1/members", query={"filter": "name[eq]ada@example.com"})) == ["ada@example.com"]
    assert acme.get("/v1/members/ada@example.com").json()["result"]["role_binding"] == ["renamed"]


def test_role__taken_from_a_member__holds_on_the_next_request_and_for_derived_tokens(acme: Api) -> None:
    made = make_member(acme, role_binding=["administrator"])
    member = session_of(acme, made)
    body = {"name": "derived", "resources": {}, "permission_set": "administrator"}
    derived = Api(acme.id, member.post("/v1/tokens", body).json()["result"]["primary"]["access"]["secret"])
    assert derived.get("/v1/accounts").status_code == 200
    make_member(acme, "bob@example.com", role_binding=["administrator"])
    assert update(acme, made, role_binding=["member"]).status_code == 200
    for each in (member, derived):
        assert_problem(each.get("/v1/accounts"), 403, "forbidden")


def test_role__of_a_member__cannot_be_deleted(acme: Api) -> None:
    role = make_role(acme, "viewer", name="held")
    made = make_member(acme, role_binding=[role])
    problem = assert_problem(acme.delete("/v1/roles/held"), 409, "in-use")
    assert problem["context"]["resources"] == [{"type": "member", "id": made["id"], "rel": "cause"}]
    assert update(acme, made, role_binding=[]).status_code == 200
    assert acme.delete("/v1/roles/held").status_code == 204


# --- what nobody can grant -----------------------------------------------------------------------


def test_member__narrowed_administrator__grants_nothing(acme: Api, accounts: dict[str, str]) -> None:
    role = make_role(acme, "administrator", resources={"accounts": {"ids": [accounts["gold"]]}})
    made = make_member(acme, role_binding=[role])
    member = session_of(acme, made)
    assert_problem(member.post("/v1/roles", {"permission_set": "administrator"}), 403, "forbidden")
    body = {"name": "eve@example.com", "secret": SECRET, "role_binding": ["administrator"]}
    assert_problem(member.post("/v1/members", body), 403, "forbidden")
    assert_problem(update(member, made, role_binding=["administrator"]), 403, "forbidden")
    token = {"resources": {}, "permission_set": "administrator"}
    derived = Api(acme.id, member.post("/v1/tokens", token).json()["result"]["primary"]["access"]["secret"])
    assert names(derived.get("/v1/accounts")) == ["gold"]


def test_member__own_profile__is_all_that_members_change_of_themselves(acme: Api) -> None:
    made = make_member(acme, role_binding=["member"])
    other = make_member(acme, "bob@example.com", role_binding=["member"])
    member = session_of(acme, made)
    changed = update(member, made, nickname="Ada")
    assert changed.json()["result"]["nickname"] == "Ada"
    for change in ({"role_binding": ["administrator"]}, {"state": "locked"}, {"token_ttl": "2h"}):
        assert_problem(update(member, made, **change), 403, "forbidden")
    assert_problem(member.get(f"/v1/members/{other['id']}"), 403, "forbidden")
    assert_problem(member.delete(f"/v1/members/{made['id']}"), 403, "forbidden")


@pytest.mark.parametrize("part", ["accounts", "organizations"])
def test_member__narrowed_administrator__changes_its_profile_alone(
    acme: Api, accounts: dict[str, str], part: str
) -> None:
    ids = [accounts["gold"]] if part == "accounts" else [acme.id]
    role = make_role(acme, "administrator", resources={part: {"ids": ids}})
    made = make_member(acme, role_binding=[role])
    member = session_of(acme, made)
    assert update(member, made, nickname="Ada").json()["result"]["nickname"] == "Ada"
    changes: list[dict[str, Any]] = [{"role_binding": []}, {"token_ttl": "2h"}, {"secret": "eight mules drink ink"}]
    for change in changes:
        assert_problem(update(member, made, **change), 403, "forbidden")


def test_member__own_profile__is_found_by_name_and_without_case(acme: Api) -> None:
    made = make_member(acme, role_binding=["member"])
    other = make_member(acme, "bob@example.com", role_binding=["member"])
    member = session_of(acme, made)
    for identifier in (made["id"].upper(), "ADA@example.com"):
        shown = member.get(f"/v1/members/{identifier}").json()["result"]
        changed = member.put(f"/v1/members/{identifier}", shown | {"nickname": identifier[:3]})
        assert changed.json()["result"]["nickname"] == identifier[:3]
    for identifier in (other["id"].upper(), "bob@example.com", "absent", "a%00b"):
        assert_problem(member.get(f"/v1/members/{identifier}"), 403, "forbidden")


def test_account__token_block_by_a_narrowed_member__keeps_the_members_part(acme: Api, accounts: dict[str, str]) -> None:
    role = make_role(acme, "administrator", resources={"accounts": {"ids": ["*"], "labels": ["gold"]}})
    member = session_of(acme, make_member(acme, role_binding=[role]))
    body = {"name": "mine", "labels": ["gold"], "token": {"permission_set": "account-manager"}}
    result = member.post("/v1/accounts", body).json()["result"]
    token = Api(acme.id, result["token"]["primary"]["access"]["secret"])
    assert names(token.get("/v1/accounts")) == ["mine"]
    acme.patch("/v1/accounts/mine", [{"op": "replace", "path": "/labels", "value": ["lead"]}])
    assert names(token.get("/v1/accounts")) == []


# --- the last administrator ----------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"role_binding": ["viewer"]}, {"state": "disabled"}], ids=["demoted", "disabled"])
def test_administrator__last__stays(acme: Api, change: dict[str, Any]) -> None:
    made = make_member(acme, role_binding=["administrator"])
    assert_problem(update(acme, made, **change), 409, "last-administrator")
    assert_problem(acme.delete(f"/v1/members/{made['id']}"), 409, "last-administrator")
    make_member(acme, "bob@example.com", role_binding=["administrator"])
    assert update(acme, made, **change).status_code == 200


def test_administrator__by_a_role_that_changes__stays(acme: Api) -> None:
    role = make_role(acme, "administrator", name="admins")
    make_member(acme, role_binding=[role])
    shown = acme.get("/v1/roles/admins").json()["result"]
    assert_problem(acme.put("/v1/roles/admins", shown | {"permission_set": "viewer"}), 409, "last-administrator")
    assert acme.get("/v1/roles/admins").json()["result"] == shown


# --- members themselves --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["disabled", "locked"])
def test_member__shut_out__has_no_token_that_works(acme: Api, state: str) -> None:
    made = make_member(acme, role_binding=["viewer"])
    member = session_of(acme, made)
    assert member.get("/v1/accounts").status_code == 200
    assert update(acme, made, state=state).status_code == 200
    assert_problem(member.get("/v1/accounts"), 401, "unauthenticated")
    assert update(acme, made, state="enabled").status_code == 200
    assert member.get("/v1/accounts").status_code == 200


@pytest.mark.parametrize("option", ["expired", "invited", "forgotten"])
def test_member__must_change_the_password__may_do_nothing_else(acme: Api, option: str) -> None:
    member = session_of(acme, make_member(acme, role_binding=["administrator"], options={"options": [option]}))
    assert_problem(member.get("/v1/accounts"), 403, "forbidden")
    assert_problem(member.post("/v1/tokens", {"resources": {}, "permission_set": "viewer"}), 403, "forbidden")


def test_member__deleted__takes_its_tokens(acme: Api) -> None:
    made = make_member(acme, role_binding=["viewer"])
    member = session_of(acme, made)
    assert acme.delete(f"/v1/members/{made['id']}").status_code == 204
    assert_problem(member.get("/v1/accounts"), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("secret", "why"),
    [("short", "at least 8"), ("password123", "too easy"), ("ada@example.com", "too easy"), ("a" * 80, "too easy")],
)
def test_member__weak_secret__is_refused_with_the_reason(acme: Api, secret: str, why: str) -> None:
    problem = assert_problem(
        acme.post("/v1/members", {"name": "ada@example.com", "secret": secret}), 400, "invalid-request", at="/secret"
    )
    assert why in problem["message"]
    assert secret not in str(problem)


def test_member__secret__is_kept_as_a_slow_hash_only(acme: Api) -> None:
    make_member(acme)
    with scoped(acme.scope):
        kept = Member.objects.get(name="ada@example.com").password
    assert kept.startswith("$argon2id$")
    assert SECRET not in kept


@pytest.mark.parametrize(
    ("body", "at"),
    [
        ({"name": "ada"}, "/name"),
        ({"name": "Ada Lovelace <ada@example.com>"}, "/name"),
        ({"name": "x" * 300, "type": "service"}, "/name"),
        ({"role_binding": ["absent"]}, "/role_binding/0"),
        ({"options": {"token_ttl": "25h"}}, "/options/token_ttl"),
        ({"options": {"ttl": "1h"}}, "/options/ttl"),
        ({"state": "enabled"}, "/state"),
    ],
)
def test_member__wrong__is_named_by_place(acme: Api, body: dict[str, Any], at: str) -> None:
    answer = acme.post("/v1/members", {"name": "ada@example.com", "secret": SECRET} | body)
    assert_problem(answer, 400, "invalid-request", at=at)


def test_member__names__are_compared_without_case(acme: Api) -> None:
    make_member(acme, "Ada@Example.com")
    answer = acme.post("/v1/members", {"name": "ADA@example.COM", "secret": SECRET})
    assert_problem(answer, 409, "duplicate-name")
    assert acme.get("/v1/members/ADA@example.com").json()["result"]["name"] == "ada@example.com"


def test_permission_sets__each__shows_the_contracts_verbs(acme: Api) -> None:
    shown = {each["name"]: each for each in acme.get("/v1/permissionsets").json()["result"]}
    assert shown["administrator"]["permissions"] == {"all": {"actions": ["*"]}}
    assert shown["token-issuer"]["permissions"] == {"tokens": {"actions": ["create_integration"]}}
    assert acme.get("/v1/permissionsets/viewer").json()["result"] == shown["viewer"]
    assert_problem(acme.get("/v1/permissionsets/absent"), 404, "not-found")
