"""Integration points and integrations through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

from typing import Any

import pytest
from synqly.management.common import ForbiddenError, NotFoundError
from synqly.management.integrations import Integration, ListIntegrationOptions, WebhookConfig, WebhookItem
from synqly.management.providers_generated import ProviderConfig_SiemMockSiem

from tests.client.published import Published, exercises, members, new_name, words

NOBODY = "http://127.0.0.1:9"  # refuses connections
INLINE = {"type": "basic", "username": "ann", "secret": "hush"}
MOCK = {"type": "ticketing_mock_ticketing", "name": "mock"}
SCHEDULE = {
    "operation": "siem_query_events",
    "enabled": True,
    "frequency": {"type": "periodic", "value": "4h"},
    "incremental_config": {"mode": "full_snapshot"},
}
MAPPING = {
    "resource": "events",
    "actions": ["query"],
    "source": "raw.team",
    "destination": "team",
    "data_type": "string",
}


def new_account(published: Published) -> Any:
    return published.accounts.create(name=new_name("north"), environment="test").result.account


def new_point(published: Published, **given: Any) -> Any:
    whole = {"connector": "siem", "environments": {"test": ["siem_mock_siem"], "prod": []}} | given
    return published.integration_points.create(name=new_name("point"), **whole).result


@exercises(
    "GET /v1/integration-points",
    "POST /v1/integration-points",
    "GET /v1/integration-points/{integration_point_id}",
    "PUT /v1/integration-points/{integration_point_id}",
    "PATCH /v1/integration-points/{integration_point_id}",
    "DELETE /v1/integration-points/{integration_point_id}",
)
def test_integration_point__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    templates = {
        "additional_mappings": [{**MAPPING, "providers": ["*"], "mapping_type": "fixed", "literal": False}],
        "mappings": [{"providers": ["*"], "mappings": [], "operation_ids": ["siem_query_events"]}],
        "scheduled_operations": [SCHEDULE],
    }
    made = new_point(published, description="Where events come from", **templates)
    assert made.scheduled_operations[0].frequency.value == "12h"  # the least for a full snapshot
    assert published.integration_points.get(made.name).result == made
    assert published.integration_points.get(made.id).result == made

    updated = published.integration_points.update(made.id, **members(made) | {"description": "SIEM"}).result
    request = [{"op": "add", "path": "/environments/prod/-", "value": "*"}, {"op": "remove", "path": "/mappings"}]
    patched = published.integration_points.patch(made.name, request=request).result
    assert (updated.description, patched.environments.prod, patched.mappings) == ("SIEM", ["*"], None)
    listed = published.integration_points.list(filter=f"name[eq]{made.name}", total=True)
    assert (listed.result, listed.total) == ([patched], 1)

    published.integration_points.delete(made.name)
    with pytest.raises(NotFoundError):
        published.integration_points.delete(made.id)


@exercises(
    "GET /v1/integrations",
    "GET /v1/integrations/{account_id}",
    "POST /v1/integrations/{account_id}",
    "GET /v1/integrations/{account_id}/{integration_id}",
    "PUT /v1/integrations/{account_id}/{integration_id}",
    "PATCH /v1/integrations/{account_id}/{integration_id}",
    "DELETE /v1/integrations/{account_id}/{integration_id}",
)
def test_integration__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    account, name = new_account(published), new_name("tickets")
    result = published.integrations.create(account.id, name=name, provider_config=MOCK).result
    made = result.integration
    assert (made.category, made.provider_type, made.account_id) == ("ticketing", "ticketing_mock_ticketing", account.id)
    assert result.credentials_created == []
    assert result.token.access.permissions.resource_id == made.id
    assert published.integrations.get(account.name, name).result == made
    assert published.integrations.list(filter=f"account.name[eq]{account.name}", total=True).total == 1
    assert published.integrations.list_account(account.name).result == [made]

    updated = published.integrations.update(account.id, name, **members(made) | {"fullname": "Renamed"})
    assert (updated.result.fullname, updated.messages) == ("Renamed", None)
    request = [{"op": "replace", "path": "/provider_config/name", "value": "other"}]
    patched = published.integrations.patch(account.name, name, request=request).result
    assert patched.provider_config.name == "other"

    published.integrations.delete(account.name, name)
    for gone in (name, made.id):
        with pytest.raises(NotFoundError):
            published.integrations.delete(account.id, gone)


def test_integration__inline_credential__is_stored_and_doubted(published: Published) -> None:
    account = new_account(published)
    config = {"type": "ticketing_jira", "url": NOBODY, "credential": INLINE}
    answer = published.integrations.create(account.id, provider_config=config)
    [created] = answer.result.credentials_created
    assert (created.managed, created.integration_id) == ("Managed", answer.result.integration.id)
    assert answer.result.integration.provider_config.credential.value == created.id
    [problem] = answer.messages.problems
    assert (problem.type, problem.status) == ("/problems/provider-failed", 502)

    changed = members(answer.result.integration) | {"provider_config": config}
    again = published.integrations.update(account.id, answer.result.integration.id, **changed)
    assert again.messages.problems
    body = published.last.body
    assert [each["managed"] for each in body["credentials_created"]] == ["Managed"]
    published.integrations.get(account.id, answer.result.integration.id)
    assert all("hush" not in each.answer.text for each in published.exchanges)


def test_integration__of_a_point__takes_its_templates(published: Published) -> None:
    account = new_account(published)
    mapping = {**MAPPING, "providers": ["siem_mock_siem"], "mapping_type": "fixed"}
    point = new_point(published, additional_mappings=[mapping], scheduled_operations=[SCHEDULE])
    made = published.integrations.create(
        account.id, provider_config=ProviderConfig_SiemMockSiem(index="main"), integration_point_id=point.id
    ).result.integration
    assert [each.destination for each in made.additional_mappings] == ["team"]
    assert [each.operation for each in made.scheduled_operations] == ["siem_query_events"]


@pytest.mark.parametrize("expand", [None, *words(ListIntegrationOptions)])
def test_integrations__every_expand__are_the_clients_models(published: Published, expand: str | None) -> None:
    account, point = new_account(published), new_point(published)
    config = {"type": "siem_mock_siem"}
    published.integrations.create(account.id, provider_config=config, integration_point_id=point.id)
    for [listed] in (
        published.integrations.list_account(account.id, expand=expand).result,
        published.integrations.list(filter=f"account_id[eq]{account.id}", expand=expand).result,
    ):
        accounts = expand in ("account", "accounts", "all")
        points = expand in ("integration_point", "integration_points", "all")
        assert listed.account == (account if accounts else None)
        assert listed.integration_point == (point if points else None)


def test_integration__with_webhooks__shows_a_made_key_once(published: Published) -> None:
    account = new_account(published)
    items = [WebhookItem(webhook_url="https://hooks.example/in", event_filter=["TicketCreated"])]
    made = published.integrations.create(
        account.id, provider_config=MOCK, webhook_config=WebhookConfig(provider_key="key", items=items)
    ).result.integration
    assert made.webhook_config.items[0].integrator_key != "***"
    shown = published.integrations.get(account.id, made.id).result
    assert (shown.webhook_config.provider_key, shown.webhook_config.items[0].integrator_key) == ("***", "***")


@exercises("POST /v1/integrations/{account_id}/verify", "POST /v1/integrations/{account_id}/{integration_id}/verify")
def test_integration__verified__is_the_clients_model_with_or_without_doubts(published: Published) -> None:
    account = new_account(published)
    doubtful = {"type": "ticketing_jira", "url": NOBODY, "credential": INLINE}
    assert published.integrations.verify(account.id, integration={"provider_config": MOCK}).messages is None
    [problem] = published.integrations.verify(account.id, integration={"provider_config": doubtful}).messages.problems
    assert problem.type == "/problems/provider-failed"
    assert published.integrations.list_account(account.id).result == []  # nothing is made

    made: Integration = published.integrations.create(account.id, provider_config=MOCK).result.integration
    assert published.integrations.verify_existing(account.id, made.id).messages is None
    renamed = Integration(**members(made) | {"fullname": "Renamed"})
    assert published.integrations.verify_existing(account.id, made.id, request=renamed).messages is None
    assert published.integrations.get(account.id, made.id).result == made


@exercises("POST /v1/tokens/{account_id}/{integration_id}")
def test_integration_token__created__opens_no_management(published: Published) -> None:
    account = new_account(published)
    made = published.integrations.create(account.id, name="mock", provider_config=MOCK).result.integration
    token = published.tokens.create_integration_token(account.name, "mock", token_ttl="5m", name=new_name("t")).result
    assert (token.permissions.resource_type, token.permissions.resource_id) == ("integration", made.id)
    plain = published.tokens.create_integration_token(account.id, made.id).result
    assert plain.expires > token.expires  # ten minutes when nothing is said
    with pytest.raises(ForbiddenError):
        published.as_(token.secret).integrations.get(account.id, made.id)
