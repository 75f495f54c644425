"""The catalog over HTTP."""

from __future__ import annotations

import pytest

from catalog.registry import list_connectors, list_providers
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import ok


def test_capabilities__connectors__are_all_and_name_their_providers(acme: Api) -> None:
    shown = {each["id"]: each for each in ok(acme.get("/v1/capabilities/connectors"))}
    assert set(shown) == {connector.id for connector in list_connectors()}
    named = [id_ for each in shown.values() for id_ in each["provider_ids"]]
    assert sorted(named) == sorted(provider.id for provider in list_providers())
    expanded = ok(acme.get("/v1/capabilities/connectors", query={"expand": "providers"}))
    assert [[p["id"] for p in each["providers"]] for each in expanded] == [each["provider_ids"] for each in expanded]


def test_capabilities__every_provider__is_shown_alone_as_in_the_list(acme: Api) -> None:
    listed = ok(acme.get("/v1/capabilities/providers"))
    assert len(listed) == 186
    for each in listed[::20]:
        assert ok(acme.get(f"/v1/capabilities/providers/{each['id']}")) == each


def test_capabilities__expand__adds_what_is_asked_and_nothing_else(acme: Api) -> None:
    path = "/v1/capabilities/providers/sink_http"
    plain = ok(acme.get(path))
    assert plain["connector"] == "sink"
    assert {"operations", "provider_config"}.isdisjoint(plain)
    whole = ok(acme.get(path, query=[("expand", "connector"), ("expand", "provider_config"), ("expand", "operations")]))
    assert whole["connector"]["id"] == "sink"
    assert whole["provider_config"]["properties"]["type"] == {"const": "sink_http"}
    assert all(operation["supported"] is False for operation in whole["operations"])


@pytest.mark.parametrize("name", ["nothing", "SINK_HTTP", "sink_http%00", "%2e%2e", "%F0%9F%92%A9", "x" * 5000, "*"])
def test_capabilities__unknown_provider__is_404(acme: Api, name: str) -> None:
    assert_problem(acme.get(f"/v1/capabilities/providers/{name}"), 404, "not-found")


@pytest.mark.parametrize(
    "query", [{"expand": "all"}, {"expand": ""}, {"limit": "1"}, {"filter": "id[eq]x"}, {"Expand": "x"}]
)
@pytest.mark.parametrize("path", ["connectors", "providers", "providers/sink_http"])
def test_capabilities__unknown_parameter_or_value__is_400(acme: Api, path: str, query: dict[str, str]) -> None:
    assert_problem(acme.get(f"/v1/capabilities/{path}", query=query), 400, at=next(iter(query)))


@pytest.mark.parametrize("permission_set", ["viewer", "member", "connect-ui", "token-issuer", "account-provisioner"])
def test_capabilities__every_management_token__may_read_them(acme: Api, permission_set: str) -> None:
    assert acme.issue(permission_set).get("/v1/capabilities/providers").status_code == 200
    assert_problem(acme.post("/v1/capabilities/providers", {}), 405)
