"""The published client has every operation that is served, and the small groups of them."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import importlib
import pkgutil

import pytest
from synqly.management.capabilities import (
    Connector,
    GetProviderCapabilitiesExpandOptions,
    ListConnectorCapabilitiesExpandOptions,
    ListProviderCapabilitiesExpandOptions,
)

import tests.client
from tests.client.published import Published, every_operation, exercises, members, words


def declared() -> set[str]:
    """Every operation that a test of this folder says it calls through the client, and is held to."""
    modules = [importlib.import_module(f"tests.client.{m.name}") for m in pkgutil.iter_modules(tests.client.__path__)]
    return {name for module in modules for test in vars(module).values() for name in getattr(test, "exercises", ())}


# What the client has no method for.
BEYOND_THE_CONTRACT = {
    "DELETE /v1/members/{member_id}/second_factor",
    "POST /v1/auth/second_factor",
    "POST /v1/auth/second_factor/confirm",
    "POST /v1/auth/second_factor/remove",
    "POST /v1/organization/webhooks/{webhook_id}/enable",
    "POST /v1/organization/webhooks/{webhook_id}/disable",
    "POST /v1/organization/webhooks/{webhook_id}/test",
    "POST /v1/organization/webhooks/{webhook_id}/recover",
    "GET /v1/organization/webhooks/{webhook_id}/deliveries",
    "GET /v1/organization/webhooks/{webhook_id}/deliveries/{delivery_id}",
    "POST /v1/organization/webhooks/{webhook_id}/deliveries/{delivery_id}/resend",
    "GET /v1/mappings/{mapping_id}/versions",
    "GET /v1/customs/schema",
}


def test_published_client__every_operation_served__is_called_by_a_test() -> None:
    left_out = set(every_operation()) - declared() - BEYOND_THE_CONTRACT
    assert not left_out, f"no test of tests/client calls {sorted(left_out)} through the published client"


def test_published_client__operations_said_to_be_called__are_served() -> None:
    assert declared() <= set(every_operation())


@exercises("GET /v1/organization", "PUT /v1/organization", "PATCH /v1/organization")
def test_organization__got_updated_and_patched__is_the_clients_model(published: Published) -> None:
    shown = published.organization.get().result
    kept = members(shown) | {"contact": "ops@acme.example", "options": {"invite_duration": "48h"}}
    updated = published.organization.update(**kept).result
    assert (updated.contact, updated.options.invite_duration) == ("ops@acme.example", "48h")
    patched = published.organization.patch(
        request=[
            {"op": "replace", "path": "/contact", "value": "it@acme.example"},
            {"op": "remove", "path": "/options"},
        ]
    ).result
    assert (patched.contact, patched.options) == ("it@acme.example", None)
    assert published.organization.get().result == patched


@exercises("GET /v1/capabilities/connectors")
@pytest.mark.parametrize("expand", [None, *words(ListConnectorCapabilitiesExpandOptions)])
def test_connectors__every_expand__are_the_clients_models(published: Published, expand: str | None) -> None:
    connectors = published.capabilities.list_connectors(expand=expand).result
    assert "ticketing" in [connector.id for connector in connectors]
    assert all(bool(connector.providers) == (expand == "providers") for connector in connectors)


@exercises("GET /v1/capabilities/providers")
@pytest.mark.parametrize("expand", [None, *words(ListProviderCapabilitiesExpandOptions)])
def test_providers__every_expand__are_the_clients_models(published: Published, expand: str | None) -> None:
    providers = published.capabilities.list_providers(expand=expand).result
    assert (
        len([each for each in providers if each.connector_id != "custom"]) == 185
    )  # beside custom ones of other tests
    assert all(bool(provider.provider_config) == (expand == "provider_config") for provider in providers)
    assert all(bool(provider.operations) == (expand == "operations") for provider in providers)
    assert all(isinstance(provider.connector, Connector) == (expand == "connector") for provider in providers)


@exercises("GET /v1/capabilities/providers/{provider_id}")
@pytest.mark.parametrize("expand", [None, *words(GetProviderCapabilitiesExpandOptions)])
def test_provider__every_expand__is_the_clients_model(published: Published, expand: str | None) -> None:
    provider = published.capabilities.get_provider("ticketing_jira", expand=expand).result
    assert (provider.id, provider.fullname, provider.connector_id) == ("ticketing_jira", "Jira", "ticketing")


def test_provider__all_expands_at_once__shows_all(published: Published) -> None:
    asked = words(GetProviderCapabilitiesExpandOptions)
    provider = published.capabilities.get_provider("ticketing_jira", expand=asked).result
    assert provider.provider_config["properties"]["type"] == {"const": "ticketing_jira"}
    assert isinstance(provider.connector, Connector)


@exercises("GET /v1/meta/openapi/management", "GET /v1/meta/openapi/engine")
def test_meta__both_schemas__are_openapi(published: Published) -> None:
    management = published.meta.management_openapi_spec()
    assert management["openapi"].startswith("3.1")
    assert "/v1/accounts" in management["paths"]
    assert published.meta.engine_openapi_spec()["openapi"].startswith("3.1")
