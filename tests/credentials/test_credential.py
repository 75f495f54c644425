"""Credentials: owners, types, what a change may do, and that the secret never leaves."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
import pytest

from core.columns import new_id
from core.instants import format_instant
from core.tenancy import scoped
from credentials.models import Credential
from credentials.services import open_config
from tests.api import Api
from tests.contract.problems import assert_problem, without_identity
from tests.objects import (
    SECRET_CONFIGS,
    TOKEN_CONFIG,
    make_account,
    make_credential,
    make_integration,
    make_point,
    ok,
    signed_by,
    signed_inline,
)

CANARY = "canary-7f3c0b"


def config_of(type_: str, secret: str = CANARY) -> dict[str, Any]:
    text = orjson.dumps(SECRET_CONFIGS[type_]).decode().replace("{}", secret)
    return {"type": type_, **orjson.loads(text)}


def stored(api: Api, credential_id: str) -> Any:
    """The secret, as a call to a provider would use it."""
    with scoped(api.scope):
        return open_config(credential=Credential.objects.get(id=credential_id))


def soon(seconds: float = 3600) -> str:
    return format_instant(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds))


@pytest.fixture
def account(acme: Api) -> str:
    return str(make_account(acme, name="north")["id"])


@pytest.mark.parametrize("type_", SECRET_CONFIGS)
def test_credential__of_each_type__is_sealed_and_shows_its_type_alone(acme: Api, account: str, type_: str) -> None:
    config = config_of(type_)
    made = make_credential(acme, account, config, name="key")
    assert made["config"] == {"type": type_}
    assert (made["owner_type"], made["account_id"], made["managed"]) == ("account", account, "Unmanaged")
    assert stored(acme, made["id"]) == config
    for path in (account, f"{account}/key", f"lookup/{made['id']}", "lookup/key"):
        assert CANARY not in acme.get(f"/v1/credentials/{path}").content.decode()
    with scoped(acme.scope):
        assert CANARY.encode() not in bytes(Credential.objects.get().sealed)


@pytest.mark.parametrize("type_", SECRET_CONFIGS)
def test_credential__incomplete__is_refused_without_repeating_it(acme: Api, account: str, type_: str) -> None:
    required = [name for name in SECRET_CONFIGS[type_] if name not in ("session", "role_session_name", "extra")]
    for name in required:
        config = {k: v for k, v in config_of(type_).items() if k != name}
        answer = acme.post(f"/v1/credentials/{account}", {"config": config})
        assert_problem(answer, 400, at=f"/config/{name}")
        answer = acme.post(f"/v1/credentials/{account}", {"config": config_of(type_) | {name: [CANARY]}})
        assert CANARY not in answer.content.decode()
        assert_problem(answer, 400, at=f"/config/{name}")
    answer = acme.post(f"/v1/credentials/{account}", {"config": config_of(type_) | {"unknown": CANARY}})
    assert CANARY not in answer.content.decode()
    assert_problem(answer, 400, at="/config/unknown")


@pytest.mark.parametrize("config", [None, [], "token", {}, {"type": None}, {"type": ["token"]}, {"type": "Token"}])
def test_credential__without_a_type__is_refused(acme: Api, account: str, config: Any) -> None:
    problem = assert_problem(acme.post(f"/v1/credentials/{account}", {"config": config}), 400)
    assert problem["context"]["parameter"]["id"] in ("/config", "/config/type")


# --- owners --------------------------------------------------------------------------------------


def test_credential__owners__are_found_by_their_type(acme: Api, account: str) -> None:
    integration = make_integration(acme, account, name="out")["id"]
    point = make_point(acme, name="place")["id"]
    owners = {"account": account, "integration": integration, "integration_point": point}
    for owner_type, owner in owners.items():
        made = make_credential(acme, owner, owner_type=owner_type, name="same")
        assert made["owner_type"] == owner_type
        assert made.get(f"{owner_type}_id") == owner
        assert [each["id"] for each in ok(acme.get(f"/v1/credentials/{owner}"))] == [made["id"]]
        others = set(owners.values()) - {owner}
        for other in others:
            assert_problem(acme.get(f"/v1/credentials/{other}/{made['id']}"), 404)
    assert_problem(acme.get("/v1/credentials/lookup/same"), 409, "conflict")


def test_credential__owner_of_another_type__is_refused(acme: Api, account: str) -> None:
    body = {"config": TOKEN_CONFIG}
    for owner_type in ("integration", "integration_point", "organization_webhook"):
        assert_problem(
            acme.post(f"/v1/credentials/{account}", {**body, "owner_type": owner_type}), 400, at="/owner_type"
        )
        assert_problem(acme.post(f"/v1/credentials/{new_id()}", {**body, "owner_type": owner_type}), 404, "not-found")
    assert_problem(acme.post(f"/v1/credentials/{account}", {**body, "owner_type": "token"}), 400, at="/owner_type")


def test_credential__owner__cannot_change(acme: Api, account: str) -> None:
    made = make_credential(acme, account, name="key")
    path = f"/v1/credentials/{account}/key"
    whole = {**made, "config": TOKEN_CONFIG}
    assert_problem(acme.put(path, {**whole, "owner_type": "integration"}), 400, at="/owner_type")
    assert_problem(acme.put(path, {**whole, "account_id": new_id()}), 400, at="/account_id")
    assert_problem(acme.put(path, {**whole, "managed": "Managed"}), 400, at="/managed")


def test_credential__name__is_unique_for_its_owner_alone(acme: Api, account: str) -> None:
    make_credential(acme, account, name="key")
    answer = acme.post(f"/v1/credentials/{account}", {"name": "key", "config": TOKEN_CONFIG})
    assert_problem(answer, 409, "duplicate-name", at="/name")
    make_credential(acme, make_account(acme)["id"], name="key")


def test_credential__of_another_account_of_mine__is_not_under_this_one(acme: Api, account: str) -> None:
    made = make_credential(acme, make_account(acme)["id"])
    missing = new_id()
    foreign, gone = (acme.get(f"/v1/credentials/{account}/{each}") for each in (made["id"], missing))
    assert_problem(foreign, 404)
    assert without_identity(foreign, made["id"]) == without_identity(gone, missing)


def test_credential__of_the_neighbour__is_told_apart_by_nothing(acme: Api, globex: Api, account: str) -> None:
    theirs = make_credential(globex, make_account(globex, name="south")["id"], name="theirs")
    missing = new_id()
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body: Any = {"GET": None, "DELETE": None, "PATCH": []}.get(method, {})
        answers = [acme.request(method, f"/v1/credentials/{account}/{each}", body) for each in (theirs["id"], missing)]
        assert [a.status_code for a in answers] == [404, 404]
        assert without_identity(answers[0], theirs["id"]) == without_identity(answers[1], missing)
    cursor, gone = (
        acme.get(f"/v1/credentials/{account}", query={"start_after": each}) for each in (theirs["id"], missing)
    )
    assert without_identity(cursor, theirs["id"]) == without_identity(gone, missing)


# --- changing ------------------------------------------------------------------------------------


def test_credential__put_without_config__keeps_the_secret(acme: Api, account: str) -> None:
    made = make_credential(acme, account, config_of("basic"), name="key")
    whole = {k: v for k, v in made.items() if k != "config"}
    changed = ok(acme.put(f"/v1/credentials/{account}/key", {**whole, "fullname": "Renamed"}))
    assert (changed["fullname"], changed["config"]) == ("Renamed", {"type": "basic"})
    assert stored(acme, made["id"]) == config_of("basic")


def test_credential__put_with_the_same_or_another_secret__holds_it(acme: Api, account: str) -> None:
    made = make_credential(acme, account, name="key")
    for config in (TOKEN_CONFIG, config_of("token", "new"), config_of("basic", "other type")):
        made = ok(acme.put(f"/v1/credentials/{account}/key", {**made, "config": config}))
        assert made["config"] == {"type": config["type"]}
        assert stored(acme, made["id"]) == config


def test_credential__put_of_what_get_shows__keeps_the_secret(acme: Api, account: str) -> None:
    made = make_credential(acme, account, config_of("basic"), name="key")
    path = f"/v1/credentials/{account}/key"
    changed = ok(acme.put(path, {**ok(acme.get(path)), "fullname": "Renamed"}))
    assert (changed["fullname"], changed["config"]) == ("Renamed", {"type": "basic"})
    assert stored(acme, made["id"]) == config_of("basic")
    assert_problem(acme.put(path, {**changed, "config": {"type": "token"}}), 400, at="/config/secret")


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/config/secret", "value": "hush"},
        {"op": "copy", "from": "/config/secret", "path": "/fullname"},
        {"op": "move", "from": "/config/secret", "path": "/fullname"},
        {"op": "replace", "path": "/owner_type", "value": "integration"},
        {"op": "replace", "path": "/id", "value": "x"},
        {"op": "remove", "path": "/config"},
        {"op": "remove", "path": "/config/secret"},
        {"op": "replace", "path": "/config", "value": None},
        {"op": "replace", "path": "/config", "value": {"type": "token"}},
        {"op": "replace", "path": "", "value": {}},
        {"op": "replace", "path": "/configuration", "value": 1},
        {"op": "remove", "path": "/config/none"},
    ],
)
def test_credential__patch_that_could_lift_or_guess__is_400(acme: Api, account: str, operation: Any) -> None:
    made = make_credential(acme, account, name="key", fullname="Before")
    answer = acme.patch(f"/v1/credentials/{account}/key", [operation])
    assert_problem(answer, 400, "invalid-patch")
    assert "hush" not in answer.content.decode()
    assert ok(acme.get(f"/v1/credentials/{account}/key")) == made


def test_credential__patch__changes_one_member_of_the_secret(acme: Api, account: str) -> None:
    made = make_credential(acme, account, config_of("basic"), name="key")
    operations = [
        {"op": "replace", "path": "/config/username", "value": "someone"},
        {"op": "add", "path": "/expires", "value": (expires := soon())},
        {"op": "replace", "path": "/fullname", "value": "After"},
    ]
    changed = ok(acme.patch(f"/v1/credentials/{account}/key", operations))
    assert (changed["expires"], changed["fullname"]) == (expires, "After")
    assert stored(acme, made["id"]) == config_of("basic") | {"username": "someone"}
    ok(acme.patch(f"/v1/credentials/{account}/key", [{"op": "remove", "path": "/expires"}]))
    assert "expires" not in ok(acme.get(f"/v1/credentials/{account}/key"))


def test_credential__patch_that_breaks_the_secret__is_refused_without_repeating_it(acme: Api, account: str) -> None:
    made = make_credential(acme, account, config_of("basic"), name="key")
    for value in ([CANARY], {"x": CANARY}, 7, "", "x" * 65_537):
        operations = [{"op": "replace", "path": "/config/secret", "value": value}]
        answer = acme.patch(f"/v1/credentials/{account}/key", operations)
        assert answer.status_code == 400, answer.content
        assert CANARY not in answer.content.decode()
    assert stored(acme, made["id"]) == config_of("basic")


# --- expiry and use ------------------------------------------------------------------------------


@pytest.mark.parametrize("expires", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-01-01", "", 5, "tomorrow"])
def test_credential__expiry_not_in_the_future__is_refused(acme: Api, account: str, expires: Any) -> None:
    answer = acme.post(f"/v1/credentials/{account}", {"config": TOKEN_CONFIG, "expires": expires})
    assert_problem(answer, 400, at="/expires")


def test_credential__expired__cannot_be_used_but_changed(acme: Api, account: str) -> None:
    made = make_credential(acme, account, name="key", expires=soon())
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    with scoped(acme.scope):
        Credential.objects.update(expires=past)
    body = {"provider_config": signed_by(made["id"])}
    problem = assert_problem(acme.post(f"/v1/integrations/{account}", body), 400, "credential-expired")
    assert problem["context"]["parameter"]["id"] == "/provider_config/authorization/credential/value"
    ok(acme.patch(f"/v1/credentials/{account}/key", [{"op": "replace", "path": "/fullname", "value": "Old"}]))
    ok(acme.patch(f"/v1/credentials/{account}/key", [{"op": "replace", "path": "/expires", "value": soon()}]))
    ok(acme.post(f"/v1/integrations/{account}", body))


def test_credential__in_use__cannot_be_deleted_and_says_by_what(acme: Api, account: str) -> None:
    made = make_credential(acme, account)
    integrations = [make_integration(acme, account, signed_by(made["id"]))["id"] for _ in range(2)]
    problem = assert_problem(acme.delete(f"/v1/credentials/{account}/{made['id']}"), 409, "in-use")
    users = [{"type": "integration", "id": each, "rel": "cause"} for each in integrations]
    assert sorted(problem["context"]["resources"], key=str) == sorted(users, key=str)
    for each in integrations:
        assert acme.delete(f"/v1/integrations/{account}/{each}").status_code == 204
    assert acme.delete(f"/v1/credentials/{account}/{made['id']}").status_code == 204


def test_credential__managed__cannot_be_deleted_below_its_integration(acme: Api, account: str) -> None:
    integration = make_integration(acme, account, signed_inline())["id"]
    (managed,) = ok(acme.get(f"/v1/credentials/{integration}"))
    assert managed["managed"] == "Managed"
    assert_problem(acme.delete(f"/v1/credentials/{integration}/{managed['id']}"), 409, "in-use")
    acme.delete(f"/v1/integrations/{account}/{integration}")
    assert_problem(acme.get(f"/v1/credentials/lookup/{managed['id']}"), 404)


def test_credential__of_a_deleted_point__is_gone(acme: Api) -> None:
    point = make_point(acme)["id"]
    made = make_credential(acme, point, owner_type="integration_point")
    assert acme.delete(f"/v1/integration-points/{point}").status_code == 204
    assert_problem(acme.get(f"/v1/credentials/lookup/{made['id']}"), 404)
