"""Integrations with custom providers: validated by the definition, verified by its check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.api import Api
from tests.catalog.definitions import DEFINITION, changed, config_of, make_custom, text_of
from tests.catalog.provider_server import Answer, Asked, ProviderServer, serve
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_credential, make_integration, make_point, ok


def answer(asked: Asked) -> Answer:
    """A help desk that knows one token."""
    if asked.headers.get("Authorization") != "Bearer right":
        return 401, {"error": "who?"}
    return (200, {"name": "ann"}) if asked.target == "/me" else (404, {})


@pytest.fixture
def desk() -> Iterator[ProviderServer]:
    with serve(answer) as server:
        yield server


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def account(acme: Api) -> str:
    return str(make_account(acme)["id"])


def create(api: Api, account: str, config: dict[str, Any]) -> Any:
    return api.post(f"/v1/integrations/{account}", {"provider_config": config, "name": "desk"})


def at_default(credential: dict[str, str]) -> dict[str, Any]:
    return {"endpoints": {"default": {"credential": credential}}}


def doubts(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    problems = answer.json().get("messages", {}).get("problems", [])
    return [problem["type"].removeprefix("/problems/") for problem in problems]


def test_integration__custom_provider__is_made_and_verified(acme: Api, account: str, desk: ProviderServer) -> None:
    custom = make_custom(acme)
    made = create(acme, account, config_of("DESK", desk.url))
    assert doubts(made) == []
    shown = made.json()["result"]["integration"]
    assert (shown["category"], shown["provider_type"]) == ("custom", "custom_synqly")
    assert shown["provider_config"]["custom_id"] == custom["id"]
    assert shown["provider_config"]["endpoints"]["default"]["credential"]["type"] == "token_id"
    assert doubts(acme.post(f"/v1/integrations/{account}/desk/verify")) == []
    assert [asked.target for asked in desk.asked] == ["/me", "/me"]


def test_integration__wrong_credential_or_address__is_doubted(acme: Api, account: str, desk: ProviderServer) -> None:
    make_custom(acme)
    wrong = config_of("desk", desk.url, credential={"type": "token", "secret": "wrong"})
    assert doubts(create(acme, account, wrong)) == ["credential-rejected"]
    unchecked = make_custom(acme, changed(check=None), "unchecked")
    body = {"integration": {"provider_config": config_of(unchecked["id"], desk.url)}}
    assert doubts(acme.post(f"/v1/integrations/{account}/verify", body)) == ["verification-unavailable"]


@pytest.mark.parametrize(
    "change, at",
    [
        ({"custom_id": "other"}, "/custom_id"),
        ({"custom_id": "x" * 513}, "/custom_id"),
        ({"tags": {}}, "/tags/site"),
        ({"tags": {"site": ""}}, "/tags/site"),
        ({"tags": {"site": "north", "more": "x"}}, "/tags/more"),
        ({"endpoints": {}}, "/endpoints/default"),
        (at_default({"type": "secret", "secret": "x"}), "/endpoints/default/credential/type"),
        (at_default({"type": "aws_id", "value": "x"}), "/endpoints/default/credential/type"),
    ],
)  # fmt: skip
def test_integration__configuration_that_is_not_the_definitions__is_refused(
    acme: Api, account: str, change: dict[str, Any], at: str
) -> None:
    make_custom(acme)
    assert_problem(create(acme, account, config_of("desk") | change), 400, at=f"/provider_config{at}")


def test_integration__custom_of_another_organization__does_not_exist(acme: Api, globex: Api, account: str) -> None:
    custom = make_custom(globex)
    for reference in (custom["id"], "desk"):
        assert_problem(create(acme, account, config_of(reference)), 400, at="/provider_config/custom_id")


def test_custom__in_use__is_not_deleted_and_keeps_what_configurations_need(acme: Api, account: str) -> None:
    custom = make_custom(acme)
    made = make_integration(acme, account, config_of("desk"))
    problem = assert_problem(acme.delete("/v1/customs/desk"), 409, "in-use")
    assert problem["context"]["resources"] == [{"type": "integration", "id": made["id"], "rel": "cause"}]
    more = {"files": {"base_url": "https://files.example", "auth": {"token": {"scheme": "bearer"}}}}
    for breaking in (
        changed(tags={"site": "x", "more": "y"}),
        changed(
            tags={"other": "x"}, base_url="https://{tags.other}.example", check=None, operations={"x": {"path": "/"}}
        ),
        changed(endpoints=more),
        changed(auth={"basic": {"scheme": "basic"}}),
    ):
        assert_problem(save(acme, breaking), 409, "in-use")
    allowed = changed(
        auth=DEFINITION["auth"] | {"secret": {"scheme": "bearer"}}, name="Other", base_url="https://x.example"
    )
    ok(save(acme, allowed))
    ok(acme.patch("/v1/customs/desk", [{"op": "replace", "path": "/name", "value": "renamed"}]))
    assert (
        acme.get(f"/v1/integrations/{account}/{made['id']}").json()["result"]["provider_config"]["custom_id"]
        == custom["id"]
    )
    assert acme.delete(f"/v1/integrations/{account}/{made['id']}").status_code == 204
    ok(
        acme.put(
            "/v1/customs/renamed", ok(acme.get("/v1/customs/renamed")) | {"data": text_of(changed(endpoints=more))}
        )
    )
    assert acme.delete("/v1/customs/renamed").status_code == 204


def save(api: Api, definition: dict[str, Any]) -> Any:
    return api.patch("/v1/customs/desk", [{"op": "replace", "path": "/data", "value": text_of(definition)}])


def test_integration__changed_to_another_custom__holds_that_one(acme: Api, account: str) -> None:
    make_custom(acme)
    other = make_custom(acme, name="other")
    made = make_integration(acme, account, config_of("desk"))
    url = f"/v1/integrations/{account}/{made['id']}"
    ok(acme.patch(url, [{"op": "replace", "path": "/provider_config/custom_id", "value": "other"}]))
    assert acme.delete("/v1/customs/desk").status_code == 204
    assert_problem(acme.delete("/v1/customs/other"), 409, "in-use")
    assert ok(acme.get(url))["provider_config"]["custom_id"] == other["id"]


def test_integration__credential_of_its_point__is_not_sent_where_an_account_chooses(acme: Api, account: str) -> None:
    make_custom(acme)
    point = make_point(acme, connector="custom", environments={"test": ["custom_synqly"], "prod": ["*"]})["id"]
    make_credential(acme, point, name="shared", owner_type="integration_point")
    config = config_of("desk", "https://mine.example", credential={"type": "token_id", "value": "shared"})
    body = {"provider_config": config, "integration_point_id": point}
    narrowed = acme.issue(resources={"accounts": {"ids": [account]}})
    assert_problem(narrowed.post(f"/v1/integrations/{account}", body), 403)
    assert acme.post(f"/v1/integrations/{account}", body).status_code == 200


def test_organization__with_customs_and_mappings_in_use__can_be_deleted(acme: Api) -> None:
    made = ok(acme.post("/v1/suborgs", {"name": "below"}))
    below = Api(made["organization"]["id"], made["token"]["access"]["secret"])
    make_custom(below)
    ok(below.post("/v1/mappings", {"name": "tickets", "data": "title: summary"}))
    mappings = [{"mappings": ["tickets"], "operation_ids": []}]
    for _ in range(2):
        account = make_account(below)["id"]
        make_integration(below, account, config_of("desk"), mappings=mappings)
    assert below.delete(f"/v1/accounts/{account}").status_code == 204
    assert_problem(below.delete("/v1/mappings/tickets"), 409, "in-use")
    assert acme.delete("/v1/suborgs/below").status_code == 204


def test_integration__made_with_a_connect_token__may_use_the_organizations_customs_and_mappings(
    acme: Api, account: str
) -> None:
    make_custom(acme)
    ok(acme.post("/v1/mappings", {"name": "tickets", "data": "title: summary"}))
    connect = acme.issue("connect-ui", resources={"accounts": {"ids": [account]}})
    assert [each["name"] for each in ok(connect.get("/v1/capabilities/providers"))[186:]] == ["desk"]
    mappings = [{"mappings": ["tickets:1"], "operation_ids": []}]
    made = make_integration(connect, account, config_of("desk"), mappings=mappings)
    assert made["mappings"] == mappings
    assert_problem(connect.get("/v1/customs/desk"), 403)
    assert_problem(connect.get("/v1/mappings/tickets"), 403)
