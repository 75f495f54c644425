"""Integration points: which providers are allowed where, and what is copied to an integration."""

from __future__ import annotations

from typing import Any

import pytest

from core.columns import new_id
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import (
    make_account,
    make_credential,
    make_integration,
    make_point,
    ok,
    post_integration,
    signed_by,
)

MOCK_SINK = {"type": "sink_mock_sink"}
MOCK_TICKETS = {"type": "ticketing_mock_ticketing"}
HOURLY = {"type": "periodic", "value": "1h"}


def mapping(destination: str, **members: Any) -> dict[str, Any]:
    return {
        "resource": "tickets",
        "actions": ["query"],
        "source": "a.b",
        "destination": destination,
        "data_type": "string",
        **members,
    }


# --- allowed providers ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environments, test, prod",
    [
        ({}, 400, 400),
        ({"test": []}, 400, 400),
        ({"test": ["*"]}, 200, 400),
        ({"prod": ["*"]}, 400, 200),
        ({"test": ["sink_http"], "prod": ["sink_mock_sink"]}, 200, 400),
        ({"test": ["sink_mock_sink"], "prod": ["sink_http", "sink_mock_sink"]}, 400, 200),
        ({"test": ["*"], "prod": ["*"]}, 200, 200),
    ],
)
def test_point__environments__allow_providers(acme: Api, environments: dict[str, Any], test: int, prod: int) -> None:
    point = make_point(acme, environments=environments)["id"]
    for environment, status in (("test", test), ("prod", prod)):
        account = make_account(acme, environment=environment)["id"]
        answer = post_integration(acme, account, integration_point_id=point)
        assert answer.status_code == status, answer.content
        if status == 400:
            assert_problem(answer, 400, "provider-not-allowed", at="/provider_config/type")
            assert ok(acme.get(f"/v1/integrations/{account}")) == []


def test_point__of_another_connector__takes_no_provider(acme: Api) -> None:
    point = make_point(acme)["id"]
    account = make_account(acme)["id"]
    answer = post_integration(acme, account, MOCK_TICKETS, integration_point_id=point)
    assert_problem(answer, 400, "provider-not-allowed", at="/provider_config/type")


@pytest.mark.parametrize(
    "members, at",
    [
        ({"connector": "nothing"}, "/connector"),
        ({"connector": ""}, "/connector"),
        ({"environments": {"test": ["ticketing_mock_ticketing"]}}, "/environments/test/0"),
        ({"environments": {"test": ["*", "nothing"]}}, "/environments/test/1"),
        ({"environments": {"stage": ["*"]}}, "/environments/stage"),
        ({"environments": {"test": "*"}}, "/environments/test"),
        ({"environments": []}, "/environments"),
        ({"environments": None}, "/environments"),
        ({"name": "lookup"}, "/name"),
        ({"additional_mappings": [mapping("x")]}, "/additional_mappings/0/providers"),
        ({"additional_mappings": [mapping("x", providers=[])]}, "/additional_mappings/0/providers"),
        ({"additional_mappings": [mapping("x", providers=["no"])]}, "/additional_mappings/0/providers/0"),
        (
            {"mappings": [{"mappings": ["m"], "operation_ids": [], "providers": ["*"]}]},
            "/mappings/0/mappings/0",
        ),
        ({"mappings": [{"mappings": [], "operation_ids": ["no"], "providers": ["*"]}]}, "/mappings/0/operation_ids/0"),
        (
            {"scheduled_operations": [{"operation": "edr_query_alerts", "enabled": True, "frequency": HOURLY}]},
            "/scheduled_operations/0/operation",
        ),
    ],
)
def test_point__what_is_not_there__is_refused_at_its_place(acme: Api, members: dict[str, Any], at: str) -> None:
    body = {"connector": "sink", "environments": {}, **members}
    assert_problem(acme.post("/v1/integration-points", body), 400, at=at)


def test_point__of_the_neighbour__does_not_exist_for_an_integration(acme: Api, globex: Api) -> None:
    theirs = make_point(globex)["id"]
    account = make_account(acme)["id"]
    answers = [post_integration(acme, account, integration_point_id=each) for each in (theirs, new_id())]
    for answer in answers:
        assert_problem(answer, 400, at="/integration_point_id")
    assert answers[0].json()["message"] == answers[1].json()["message"]
    query = {"filter": f"integration_point_id[eq]{theirs}", "total": "true"}
    assert acme.get("/v1/integrations", query=query).json() == {"result": [], "total": 0}


def test_point__with_integrations__cannot_be_deleted(acme: Api) -> None:
    point = make_point(acme)["id"]
    account = make_account(acme)["id"]
    integration = make_integration(acme, account, integration_point_id=point)["id"]
    problem = assert_problem(acme.delete(f"/v1/integration-points/{point}"), 409, "in-use")
    assert problem["context"]["resources"] == [{"type": "integration", "id": integration, "rel": "cause"}]
    acme.delete(f"/v1/integrations/{account}/{integration}")
    assert acme.delete(f"/v1/integration-points/{point}").status_code == 204


def test_point__with_integrations__keeps_its_connector(acme: Api) -> None:
    point, account = make_point(acme), make_account(acme)["id"]
    path = f"/v1/integration-points/{point['id']}"
    integration = make_integration(acme, account, integration_point_id=point["id"])
    mine = f"/v1/integrations/{account}/{integration['id']}"
    move = [{"op": "replace", "path": "/connector", "value": "ticketing"}]
    for answer in (acme.patch(path, move), acme.put(path, {**point, "connector": "ticketing"})):
        problem = assert_problem(answer, 409, "in-use")
        assert problem["context"]["resources"] == [{"type": "integration", "id": integration["id"], "rel": "cause"}]
    ok(acme.patch(path, [{"op": "add", "path": "/description", "value": "events"}]))
    ok(acme.patch(mine, [{"op": "replace", "path": "/fullname", "value": "Renamed"}]))
    assert acme.delete(mine).status_code == 204
    assert ok(acme.patch(path, move))["connector"] == "ticketing"


def test_point__its_credential__serves_integrations_of_every_account(acme: Api) -> None:
    point, other = make_point(acme)["id"], make_point(acme)["id"]
    credential = make_credential(acme, point, owner_type="integration_point")["id"]
    config = signed_by(credential)
    for _ in range(2):
        account = make_account(acme)["id"]
        made = make_integration(acme, account, config, integration_point_id=point)
        assert made["provider_config"] == config
        for point_id in ({}, {"integration_point_id": other}):
            answer = post_integration(acme, account, config, **point_id)
            assert_problem(answer, 400, at="/provider_config/authorization/credential/value")
    assert_problem(acme.delete(f"/v1/credentials/{point}/{credential}"), 409, "in-use")


# --- templates -----------------------------------------------------------------------------------

TEMPLATES = [
    mapping("fixed", providers=["*"], mapping_type="fixed"),
    mapping("optional", providers=["ticketing_mock_ticketing"]),
    mapping("recommended", providers=["*"], mapping_type="recommended"),
    mapping("elsewhere", providers=["ticketing_jira"], mapping_type="fixed"),
]


@pytest.fixture
def account(acme: Api) -> str:
    return str(make_account(acme, environment="test")["id"])


def make_templated(api: Api, **members: Any) -> str:
    members = {"connector": "ticketing", **members}
    return str(make_point(api, **members)["id"])


def test_point__templates__are_copied_without_their_providers(acme: Api, account: str) -> None:
    point = make_templated(acme, additional_mappings=TEMPLATES)
    made = make_integration(acme, account, MOCK_TICKETS, integration_point_id=point)
    assert made["additional_mappings"] == [mapping(name) for name in ("fixed", "optional", "recommended")]


def test_point__mappings_given__replace_all_templates_but_the_fixed(acme: Api, account: str) -> None:
    point = make_templated(acme, additional_mappings=TEMPLATES)
    given = [mapping("own"), mapping("fixed", source="mine")]
    made = make_integration(acme, account, MOCK_TICKETS, integration_point_id=point, additional_mappings=given)
    assert made["additional_mappings"] == [mapping("fixed"), mapping("own")]


def test_point__changed_later__does_not_reach_what_was_made(acme: Api, account: str) -> None:
    point = make_templated(acme, additional_mappings=TEMPLATES[:1])
    made = make_integration(acme, account, MOCK_TICKETS, integration_point_id=point)
    ok(acme.patch(f"/v1/integration-points/{point}", [{"op": "remove", "path": "/additional_mappings"}]))
    assert ok(acme.get(f"/v1/integrations/{account}/{made['id']}")) == made


def test_point__operation_ids__are_copied_as_a_chain(acme: Api, account: str) -> None:
    chain = {"mappings": [], "operation_ids": ["ticketing_query_tickets"]}
    here, elsewhere = {**chain, "providers": ["*"]}, {**chain, "providers": ["ticketing_jira"]}
    point = make_templated(acme, mappings=[here, elsewhere])
    assert make_integration(acme, account, MOCK_TICKETS, integration_point_id=point)["mappings"] == [chain]


def schedule(operation: str, value: str = "1h", **members: Any) -> dict[str, Any]:
    return {"operation": operation, "enabled": True, "frequency": {"type": "periodic", "value": value}, **members}


def test_point__schedules__are_copied_unless_given(acme: Api, account: str) -> None:
    template = schedule("edr_query_alerts")
    point = make_templated(acme, connector="edr", scheduled_operations=[template])
    config = {"type": "edr_crowdstrike_mock", "dataset": "basic_v0"}
    made = make_integration(acme, account, config, integration_point_id=point)
    assert made["scheduled_operations"] == [template]
    own = schedule("edr_query_iocs", "5m")
    made = make_integration(acme, account, config, integration_point_id=point, scheduled_operations=[own])
    assert made["scheduled_operations"] == [own]


def test_point__full_snapshot_too_often__is_raised(acme: Api) -> None:
    often = schedule("edr_query_alerts", incremental_config={"mode": "full_snapshot"})
    made = make_point(acme, connector="edr", environments={}, scheduled_operations=[often])
    assert made["scheduled_operations"][0]["frequency"]["value"] == "12h"


def test_point__put_without_fullname__has_its_name_as_one(acme: Api) -> None:
    made = make_point(acme, name="place", fullname="A place", description="d")
    whole = {k: v for k, v in made.items() if k not in ("fullname", "description")}
    changed = ok(acme.put("/v1/integration-points/place", whole))
    assert changed["fullname"] == "place"
    assert "description" not in changed


@pytest.mark.parametrize("reference", ["sink_mock_sink", "sink_http"])
def test_point__narrowed_provider_list__holds_on_update_too(acme: Api, reference: str) -> None:
    point = make_point(acme, environments={"prod": ["sink_http"]})["id"]
    account = make_account(acme)["id"]
    made = make_integration(acme, account, integration_point_id=point)
    ok(
        acme.patch(
            f"/v1/integration-points/{point}",
            [{"op": "replace", "path": "/environments", "value": {"prod": [reference]}}],
        )
    )
    answer = acme.put(f"/v1/integrations/{account}/{made['id']}", {**made, "fullname": "Renamed"})
    assert answer.status_code == (200 if reference == "sink_http" else 400), answer.content
