"""Integrations: configurations and their secrets, credentials, schedules, references."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest

from core.columns import new_id
from core.tenancy import scoped
from integrations.models import Integration
from integrations.services import open_values
from tests.api import Api
from tests.contract.problems import assert_problem, without_identity
from tests.objects import (
    HTTP_SINK,
    make_account,
    make_credential,
    make_integration,
    make_point,
    make_token,
    ok,
    post_integration,
    signed_by,
    signed_inline,
)

CANARY = "canary-91d2e7"
MOCK = {"type": "ticketing_mock_ticketing"}
CREDENTIAL_AT = "/provider_config/authorization/credential/value"
CUSTOM = {"type": "custom_synqly", "endpoints": {}, "tags": {}}
WITH_HEADERS = {**HTTP_SINK, "static_headers": {"X-Key": f"{CANARY}-1", "X/~": f"{CANARY}-2"}}


@pytest.fixture
def account(acme: Api) -> str:
    return str(make_account(acme, name="north")["id"])


def kept(api: Api, integration_id: str) -> dict[str, str]:
    """The values that an integration keeps sealed."""
    with scoped(api.scope):
        return open_values(integration=Integration.objects.get(id=integration_id))


# --- masked values -------------------------------------------------------------------------------


def test_integration__secret_headers__are_masked_and_kept(acme: Api, account: str) -> None:
    answer = post_integration(acme, account, WITH_HEADERS, name="out")
    assert CANARY not in answer.content.decode()
    made = ok(answer)["integration"]
    assert made["provider_config"]["static_headers"] == {"X-Key": "***", "X/~": "***"}
    secrets = {"/static_headers/X-Key": f"{CANARY}-1", "/static_headers/X~1~0": f"{CANARY}-2"}
    assert kept(acme, made["id"]) == secrets
    path = f"/v1/integrations/{account}/out"
    changed = ok(acme.put(path, {**ok(acme.get(path)), "fullname": "Renamed"}))
    assert kept(acme, made["id"]) == secrets
    operations = [{"op": "replace", "path": "/provider_config/static_headers/X-Key", "value": f"{CANARY}-3"}]
    answer = acme.patch(path, operations)
    assert CANARY not in answer.content.decode()
    assert ok(answer)["provider_config"] == changed["provider_config"]
    assert kept(acme, made["id"]) == {**secrets, "/static_headers/X-Key": f"{CANARY}-3"}
    ok(acme.patch(path, [{"op": "remove", "path": "/provider_config/static_headers"}]))
    assert kept(acme, made["id"]) == {}


def test_integration__subscription_key__is_masked_and_kept(acme: Api, account: str) -> None:
    credential = {"type": "o_auth_client", "client_id": "id", "client_secret": CANARY}
    config = {
        "type": "sink_trimedx",
        "credential": credential,
        "customer_id": "c",
        "username": "u",
        "subscription_key": CANARY,
    }
    answer = post_integration(acme, account, config, name="out")
    assert CANARY not in answer.content.decode()
    made = ok(answer)["integration"]
    assert made["provider_config"]["subscription_key"] == "***"
    path = f"/v1/integrations/{account}/out"
    again = acme.put(path, ok(acme.get(path)))
    assert CANARY not in again.content.decode()
    assert ok(again)["provider_config"] == made["provider_config"]
    assert kept(acme, made["id"]) == {"/subscription_key": CANARY}


def test_integration__mask_without_a_kept_value__is_refused(acme: Api, account: str) -> None:
    config = {**HTTP_SINK, "static_headers": {"X-Key": "***"}}
    assert_problem(post_integration(acme, account, config), 400, at="/provider_config/static_headers/X-Key")
    make_integration(acme, account, WITH_HEADERS, name="out")
    for operation in (
        {"op": "copy", "from": "/provider_config/static_headers/X-Key", "path": "/provider_config/static_headers/Y"},
        {"op": "move", "from": "/provider_config/static_headers/X-Key", "path": "/provider_config/static_headers/Y"},
    ):
        answer = acme.patch(f"/v1/integrations/{account}/out", [operation])
        assert_problem(answer, 400, at="/provider_config/static_headers/Y")
    verify = acme.post(f"/v1/integrations/{account}/verify", {"integration": {"provider_config": config}})
    assert_problem(verify, 400, at="/integration/provider_config/static_headers/X-Key")


@pytest.mark.parametrize("value", [CANARY, CANARY + "x", "***"])
def test_integration__test_of_a_masked_value__compares_the_mask(acme: Api, account: str, value: str) -> None:
    make_integration(acme, account, {**HTTP_SINK, "static_headers": {"X-Key": CANARY}}, name="out")
    operations = [{"op": "test", "path": "/provider_config/static_headers/X-Key", "value": value}]
    answer = acme.patch(f"/v1/integrations/{account}/out", operations)
    assert answer.status_code == (200 if value == "***" else 409), answer.content


def webhook(url: str, **members: Any) -> dict[str, Any]:
    return {"webhook_url": url, **members}


def test_integration__webhook_keys__are_made_shown_once_and_kept(acme: Api, account: str) -> None:
    first, second = "https://one.example/hook", "https://two.example/hook"
    config = {"provider_key": f"{CANARY}-p", "items": [webhook(first, integrator_key=f"{CANARY}-1"), webhook(second)]}
    answer = post_integration(acme, account, name="out", webhook_config=config)
    assert CANARY not in answer.content.decode()
    made = ok(answer)["integration"]
    shown = made["webhook_config"]["items"]
    assert shown[0]["integrator_key"] == "***"
    new_key = shown[1]["integrator_key"]
    assert len(new_key) == 43
    path = f"/v1/integrations/{account}/out"
    read = acme.get(path).content.decode() + acme.get("/v1/integrations").content.decode()
    assert new_key not in read
    expected = {"webhook provider key": f"{CANARY}-p", f"webhook key of {first}": f"{CANARY}-1"}
    expected[f"webhook key of {second}"] = new_key
    assert kept(acme, made["id"]) == expected
    ok(acme.put(path, ok(acme.get(path))))
    assert kept(acme, made["id"]) == expected
    moved = [{"op": "replace", "path": "/webhook_config/items/0/webhook_url", "value": "https://evil.example/"}]
    assert_problem(acme.patch(path, moved), 400, at="/webhook_config/items/0/integrator_key")
    assert kept(acme, made["id"]) == expected
    ok(acme.patch(path, [{"op": "remove", "path": "/webhook_config"}]))
    assert kept(acme, made["id"]) == {}


@pytest.mark.parametrize(
    "config, at",
    [
        ({"items": [webhook("https://one.example/", integrator_key="ca")]}, "/webhook_config/items/0/integrator_key"),
        (
            {"items": [webhook("https://one.example/", integrator_key="ca" * 40)]},
            "/webhook_config/items/0/integrator_key",
        ),
        ({"items": [webhook("https://one.example/", integrator_key=5)]}, "/webhook_config/items/0/integrator_key"),
        ({"items": [], "provider_key": "ca" * 600}, "/webhook_config/provider_key"),
        ({"items": [], "provider_key": ["ca"]}, "/webhook_config/provider_key"),
        ({"items": [webhook("ftp://one.example/")]}, "/webhook_config/items/0/webhook_url"),
        ({"items": [webhook("javascript:alert(1)")]}, "/webhook_config/items/0/webhook_url"),
        ({"items": [webhook("https://[::1")]}, "/webhook_config/items/0/webhook_url"),
        ({"items": [webhook("https://one.example/", event_filter=["No"])]}, "/webhook_config/items/0/event_filter/0"),
        ({"items": {}}, "/webhook_config/items"),
        ({}, "/webhook_config/items"),
    ],
)
def test_integration__invalid_webhook__is_refused_without_its_key(
    acme: Api, account: str, config: dict[str, Any], at: str
) -> None:
    problem = assert_problem(post_integration(acme, account, webhook_config=config), 400, at=at)
    if at.endswith("key"):
        assert "value" not in problem["context"]["parameter"]


# --- credentials ---------------------------------------------------------------------------------


def test_integration__inline_credential__becomes_a_managed_one(acme: Api, account: str) -> None:
    answer = post_integration(acme, account, signed_inline(CANARY), name="out")
    assert CANARY not in answer.content.decode()
    result = ok(answer)
    (created,) = result["credentials_created"]
    assert (created["managed"], created["integration_id"]) == ("Managed", result["integration"]["id"])
    assert result["integration"]["provider_config"] == signed_by(created["id"])
    path = f"/v1/integrations/{account}/out"

    same = acme.put(path, ok(acme.get(path))).json()
    assert same["credentials_created"] == []
    replaced = acme.put(path, {**same["result"], "provider_config": signed_inline("new")}).json()
    (second,) = replaced["credentials_created"]
    assert_problem(acme.get(f"/v1/credentials/lookup/{created['id']}"), 404)
    ok(acme.get(f"/v1/credentials/lookup/{second['id']}"))
    ok(acme.patch(path, [{"op": "remove", "path": "/provider_config/authorization"}]))
    assert_problem(acme.get(f"/v1/credentials/lookup/{second['id']}"), 404)
    assert ok(acme.get(f"/v1/credentials/{result['integration']['id']}")) == []


def test_integration__own_unmanaged_credential__is_left_when_unused(acme: Api, account: str) -> None:
    made = make_integration(acme, account, name="out")
    mine = make_credential(acme, made["id"], owner_type="integration")
    path = f"/v1/integrations/{account}/out"
    ok(acme.put(path, {**made, "provider_config": signed_by(mine["id"])}))
    assert_problem(acme.delete(f"/v1/credentials/{made['id']}/{mine['id']}"), 409)
    ok(acme.put(path, {**ok(acme.get(path)), "provider_config": HTTP_SINK}))
    ok(acme.get(f"/v1/credentials/lookup/{mine['id']}"))


def test_integration__refused__leaves_no_credential(acme: Api, account: str) -> None:
    make_integration(acme, account, name="out")
    before = len(ok(acme.get("/v1/tokens")))
    answer = post_integration(acme, account, signed_inline(CANARY), name="out")
    assert_problem(answer, 409, "duplicate-name", at="/name")
    _, ticketing = make_token(acme, "account-manager", resources={"integrations": {"categories": ["ticketing"]}})
    assert_problem(post_integration(ticketing, account, signed_inline(CANARY), name="other"), 403)
    with scoped(acme.scope):
        assert Integration.objects.count() == 1
    assert len(ok(acme.get("/v1/tokens"))) == before + 1
    assert ok(acme.get(f"/v1/credentials/{account}")) == []


def test_integration__credential_of_someone_else__does_not_exist(acme: Api, globex: Api, account: str) -> None:
    other = make_account(acme, name="other")["id"]
    integration = make_integration(acme, account)["id"]
    foreign = {
        "another account": make_credential(acme, other)["id"],
        "another integration": make_credential(acme, integration, owner_type="integration")["id"],
        "another organization": make_credential(globex, make_account(globex)["id"])["id"],
        "nobody": new_id(),
        "an account": account,
        "another account's name": "elsewhere",
        "nothing": "' OR 1=1 --",
    }
    make_credential(acme, other, name="elsewhere")
    answers = {who: post_integration(acme, account, signed_by(each)) for who, each in foreign.items()}
    for answer in answers.values():
        assert_problem(answer, 400, "invalid-request", at=CREDENTIAL_AT)
    bare = {without_identity(answer, foreign[who])[2] for who, answer in answers.items()}
    assert len(bare) == 1


def test_integration__credential_by_name__is_kept_by_id(acme: Api, account: str) -> None:
    credential = make_credential(acme, account, name="key")["id"]
    made = ok(post_integration(acme, account, signed_by("key")))["integration"]
    assert made["provider_config"] == signed_by(credential)


def test_integration__credential_of_the_point__goes_to_no_address_an_account_chooses(acme: Api, account: str) -> None:
    point = make_point(acme, connector="sink", environments={"prod": ["*"], "test": ["*"]})["id"]
    credential = make_credential(acme, point, owner_type="integration_point")["id"]
    resources = {"accounts": {"ids": [account]}}
    body = {"provider_config": signed_by(credential), "integration_point_id": point}
    for permission_set in ("connect-ui", "account-manager"):
        _, own = make_token(acme, permission_set, resources=resources)
        assert_problem(
            own.post(f"/v1/integrations/{account}", body), 403, at="/provider_config/authorization/credential"
        )
        verify = own.post(f"/v1/integrations/{account}/verify", {"integration": body})
        assert_problem(verify, 403, at="/integration/provider_config/authorization/credential")
    made = ok(acme.post(f"/v1/integrations/{account}", {**body, "name": "out"}))["integration"]
    path = f"/v1/integrations/{account}/out"
    assert ok(own.patch(path, [{"op": "replace", "path": "/fullname", "value": "Out"}]))["fullname"] == "Out"
    elsewhere = [{"op": "replace", "path": "/provider_config/url", "value": "https://elsewhere.example"}]
    assert_problem(own.patch(path, elsewhere), 403, at="/provider_config/authorization/credential")
    assert ok(own.get(path))["provider_config"] == made["provider_config"]


def test_integration__credential_of_another_type__is_refused(acme: Api, account: str) -> None:
    credential = make_credential(acme, account, {"type": "secret", "secret": CANARY})["id"]
    answer = post_integration(acme, account, signed_by(credential))
    assert_problem(answer, 400, at=CREDENTIAL_AT)
    assert CANARY not in answer.content.decode()


@pytest.mark.parametrize(
    "config",
    [
        signed_inline(""),
        {**HTTP_SINK, "authorization": {"type": "token_config", "credential": {"type": "token", "secret": [CANARY]}}},
        {**HTTP_SINK, "authorization": {"type": "token_config", "credential": CANARY}},
        {**HTTP_SINK, "authorization": {"type": "basic_config", "credential": {"type": "token", "secret": CANARY}}},
        {**HTTP_SINK, "static_headers": {"X-Key": [CANARY]}},
        {**HTTP_SINK, "static_headers": CANARY},
        {**HTTP_SINK, "unknown": CANARY},
        {**HTTP_SINK, "url": f"https://user:{CANARY}@sink.example/"},
        {"type": CANARY},
        {"type": [CANARY]},
        {"secret": CANARY},
    ],
)
def test_integration__invalid_configuration__is_refused_without_repeating_it(
    acme: Api, account: str, config: dict[str, Any]
) -> None:
    answer = post_integration(acme, account, config)
    problem = assert_problem(answer, 400)
    assert CANARY not in answer.content.decode()
    assert problem["context"]["parameter"]["id"].startswith("/provider_config")
    answer = acme.post(f"/v1/integrations/{account}/verify", {"integration": {"provider_config": config}})
    problem = assert_problem(answer, 400)
    assert CANARY not in answer.content.decode()
    assert problem["context"]["parameter"]["id"].startswith("/integration/provider_config")


def test_integration__provider_type__is_fixed(acme: Api, account: str) -> None:
    made = make_integration(acme, account, MOCK, name="out")
    answer = acme.put(f"/v1/integrations/{account}/out", {**made, "provider_config": HTTP_SINK})
    assert_problem(answer, 400, at="/provider_config/type")


# --- references that do not exist ----------------------------------------------------------------


@pytest.mark.parametrize(
    "members, at",
    [
        ({"bridge_selector": {"type": "id", "value": new_id()}}, "/bridge_selector/value"),
        ({"bridge_selector": {"type": "id", "value": "bridge"}}, "/bridge_selector/value"),
        ({"bridge_selector": {"type": "labels", "value": []}}, "/bridge_selector/value"),
        ({"bridge_selector": {"type": "any"}}, "/bridge_selector/type"),
        ({"mappings": [{"mappings": ["none"], "operation_ids": []}]}, "/mappings/0/mappings/0"),
        ({"mappings": [{"mappings": [new_id()], "operation_ids": []}]}, "/mappings/0/mappings/0"),
        ({"mappings": [{"mappings": ["none:1"], "operation_ids": []}]}, "/mappings/0/mappings/0"),
        ({"mappings": [{"mappings": [], "operation_ids": ["none"]}]}, "/mappings/0/operation_ids/0"),
        ({"integration_point_id": new_id()}, "/integration_point_id"),
        ({"integration_point_id": "place"}, "/integration_point_id"),
        ({"provider_config": {**CUSTOM, "custom_id": new_id()}}, "/provider_config/custom_id"),
        ({"provider_config": {**CUSTOM, "custom_id": "none"}}, "/provider_config/custom_id"),
    ],
)
def test_integration__reference_to_nothing__is_refused(
    acme: Api, account: str, members: Mapping[str, Any], at: str
) -> None:
    answer = acme.post(f"/v1/integrations/{account}", {"provider_config": MOCK, **members})
    assert_problem(answer, 400, at=at)


# --- schedules -----------------------------------------------------------------------------------


def schedule(**members: Any) -> dict[str, Any]:
    frequency = {"type": "periodic", "value": members.pop("value", "1h")}
    return {"operation": "edr_query_alerts", "enabled": True, "frequency": frequency, **members}


EDR = {"type": "edr_crowdstrike_mock", "dataset": "basic_v0"}


@pytest.mark.parametrize("value", ["5m", "300s", "24h", "8760h", "1h30m", "1d", "365d"])
def test_integration__schedule__is_kept(acme: Api, account: str, value: str) -> None:
    wanted = schedule(value=value, filters=["severity[eq]high"], backfill_from_time="7d")
    made = make_integration(acme, account, EDR, scheduled_operations=[wanted])
    assert made["scheduled_operations"] == [wanted]


@pytest.mark.parametrize(
    "wanted, at",
    [
        (schedule(value="4m59s"), "frequency/value"),
        (schedule(value="8761h"), "frequency/value"),
        (schedule(value="366d"), "frequency/value"),
        (schedule(value="0d"), "frequency/value"),
        (schedule(value="daily"), "frequency/value"),
        (schedule(operation="siem_query_events"), "operation"),
        (schedule(operation="edr_delete_all"), "operation"),
        (schedule(enabled="true"), "enabled"),
        (schedule(backfill_from_time="367d"), "backfill_from_time"),
        (schedule(backfill_from_time="99999d"), "backfill_from_time"),
        (schedule(backfill_from_time="0001-01-01T00:00:00+23:59"), "backfill_from_time"),
        (schedule(backfill_from_time="2020-01-01T00:00:00Z"), "backfill_from_time"),
        (schedule(backfill_from_time="yesterday"), "backfill_from_time"),
        (schedule(backfill_from_time="\u0667d"), "backfill_from_time"),
        (schedule(incremental_config={"mode": "all"}), "incremental_config/mode"),
        (schedule(filters="x"), "filters"),
        (schedule(filters=["x"] * 11), "filters"),
    ],
)
def test_integration__invalid_schedule__is_refused_at_its_place(
    acme: Api, account: str, wanted: dict[str, Any], at: str
) -> None:
    answer = post_integration(acme, account, EDR, scheduled_operations=[wanted])
    assert_problem(answer, 400, at=f"/scheduled_operations/0/{at}")


@pytest.mark.parametrize("back", ["max", "365d", "8760h", "1m", "2999-01-01T00:00:00Z"])
def test_integration__backfill_within_a_year__is_kept(acme: Api, account: str, back: str) -> None:
    recent = (dt.datetime.now(dt.UTC) - dt.timedelta(days=364)).strftime("%Y-%m-%dT%H:%M:%S+02:00")
    for text in (back, recent):
        made = make_integration(acme, account, EDR, scheduled_operations=[schedule(backfill_from_time=text)])
        assert made["scheduled_operations"][0]["backfill_from_time"] == text


def test_integration__full_snapshot_too_often__is_raised_and_reported(acme: Api, account: str) -> None:
    often = schedule(value="6h", incremental_config={"mode": "full_snapshot"})
    answer = post_integration(acme, account, EDR, name="out", scheduled_operations=[schedule(), often])
    made = ok(answer)["integration"]
    assert [each["frequency"]["value"] for each in made["scheduled_operations"]] == ["1h", "12h"]
    (problem,) = answer.json()["messages"]["problems"]
    assert (problem["type"], problem["context"]["parameter"]["id"]) == (
        "/problems/frequency-raised",
        "/scheduled_operations/1/frequency/value",
    )
    again = acme.put(f"/v1/integrations/{account}/out", {**made, "scheduled_operations": [often]})
    assert ok(again)["scheduled_operations"][0]["frequency"]["value"] == "12h"
    assert again.json()["messages"]["problems"][0]["type"] == "/problems/frequency-raised"
