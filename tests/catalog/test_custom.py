"""Custom providers: their definitions, and what of them the catalog shows."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
import yaml

from catalog.customs import services
from catalog.customs.models import Custom
from catalog.customs.views import EXAMPLE
from core.tenancy import scoped
from tests.api import Api
from tests.catalog.definitions import DEFINITION, changed, make_custom, text_of, with_operation
from tests.contract.problems import assert_problem
from tests.objects import ok

TWO = {"files": {"base_url": "https://files.example", "auth": {"secret": {"scheme": "header", "name": "X-Key"}}}}


@pytest.mark.parametrize(
    "definition",
    [
        DEFINITION,
        yaml.safe_load(EXAMPLE),
        changed(endpoints=TWO),
        changed(base_url=None, auth=None, endpoints=TWO, check=None, tags=None,
                operations={"x": {"path": "/", "endpoint": "files"}}),
        changed(auth={"o_auth_client": {"scheme": "oauth2", "token_url": "https://id.example/{tags.site}",
                                        "style": "in_params", "scope": "read", "params": {"audience": "a"}}}),
        changed(auth={"token": {"scheme": "query", "name": "key", "value": "{secret.secret}"},
                      "basic": {"scheme": "header", "name": "X-Key", "value": "{secret.username}/{secret.secret}"}}),
        changed(rate_limit={"requests": 1, "seconds": 1}),
        with_operation(pagination={"style": "cursor", "parameter": "after", "at": "/meta/next"}),
        with_operation(pagination={"style": "url", "at": "/next"}),
        with_operation(pagination={"style": "link"}),
        with_operation(pagination={"style": "offset", "parameter": "skip", "size": 50}),
        with_operation(path="/{input.where/}/x%20y", method="HEAD"),
        with_operation(method="POST", body={"query": "{ user { id } }", "first": "{input.first}"}),
    ],
)  # fmt: skip
def test_custom__definition_that_is_sound__is_taken_and_follows_the_schema(
    acme: Api, definition: dict[str, Any]
) -> None:
    schema = acme.get("/v1/customs/schema").json()
    jsonschema_rs.validate(schema, definition)
    made = make_custom(acme, definition)
    assert made["data"] == text_of(definition)
    assert ok(acme.get("/v1/customs/desk")) == made


@pytest.mark.parametrize(
    "definition, said",
    [
        (changed(name=None), "/name is required"),
        (changed(name=""), "/name must not be empty"),
        (changed(colour="red"), "/colour is not a field"),
        (changed(operations={}), "/operations must have at least 1 member"),
        (changed(operations={"Bad-Name": {"path": "/"}}), "/operations/Bad-Name is not a name"),
        (changed(tags={"a b": "x"}), "/tags/a b is not a name"),
        (changed(base_url="helpdesk.example"), "/base_url is no URL"),
        (changed(base_url="https://u:p@helpdesk.example"), "/base_url is no URL"),
        (changed(base_url="{tags.site}"), "/base_url is no URL"),
        (changed(base_url="https://helpdesk.example/?x=1"), "/base_url must have no query"),
        (changed(base_url="https://{tags.nope}.example"), "/base_url holds {tags.nope}"),
        (changed(base_url="https://{input.site}.example"), "/base_url holds {input.site}"),
        (changed(base_url="https://{secret.secret}.example"), "/base_url holds {secret.secret}"),
        (changed(base_url=None), "/base_url is required"),
        (changed(auth=None), "/auth is required"),
        (changed(auth={}), "/auth must have at least 1 member"),
        (changed(auth={"aws": {"scheme": "basic"}}), "/auth/aws is not a field"),
        (changed(auth={"token": {"scheme": "magic"}}), "/auth/token/scheme must be one of bearer, header, query"),
        (changed(auth={"token": {"scheme": "header"}}), "/auth/token/name is required"),
        (changed(auth={"token": {"scheme": "header", "name": "Host"}}), "/auth/token/name is no header"),
        (changed(auth={"token": {"scheme": "header", "name": "A b"}}), "/auth/token/name is no header"),
        (changed(auth={"token": {"scheme": "header", "name": "X", "value": "{secret.username}"}}),
         "/auth/token/value holds {secret.username}"),
        (changed(auth={"o_auth_client": {"scheme": "oauth2", "token_url": "x"}}),
         "/auth/o_auth_client/token_url is no URL"),
        (changed(base_url=None, auth=None), "/base_url is required where there are no `endpoints`"),
        (changed(endpoints={"default": TWO["files"]}), "/endpoints/default is the name"),
        (changed(endpoints={"x": {"base_url": "https://x.example"}}), "/endpoints/x/auth is required"),
        (changed(check="nope"), "/check names an operation that is not defined"),
        (changed(check="create_ticket"), "/check names an operation that needs input"),
        (changed(rate_limit={"requests": 0, "seconds": 1}), "/rate_limit/requests must be at least 1"),
        (with_operation(path="tickets"), "/operations/call/path must match"),
        (with_operation(path="/a?b=1"), "/operations/call/path must have neither query"),
        (with_operation(path="/{tags.nope}"), "/operations/call/path holds {tags.nope}"),
        (with_operation(path="/{config.tags.site}"), "/operations/call/path holds {config.tags.site}"),
        (with_operation(query={"key": "{secret.secret}"}), "/operations/call/query/key holds {secret.secret}"),
        (with_operation(query={"x": "{input.a-b}"}), "/operations/call/query/x holds {input.a-b}"),
        (with_operation(query={"x": ["a"]}), "/operations/call/query/x must be"),
        (with_operation(headers={"Content-Length": "1"}), "/operations/call/headers/Content-Length is no header"),
        (with_operation(method="POST", body={"a": ["{tags.x}"]}), "/operations/call/body/a/0 holds {tags.x}"),
        (with_operation(method="GET", body={}), "/operations/call/body is not sent with GET"),
        (with_operation(method="TRACE"), "/operations/call/method must be one of"),
        (with_operation(endpoint="files"), "/operations/call/endpoint names the endpoint `files`"),
        (with_operation(response="tickets"), "/operations/call/response must match"),
        (with_operation(pagination={"style": "page"}), "/operations/call/pagination/parameter is required"),
        (with_operation(pagination={"style": "cursor", "parameter": "a"}), "/operations/call/pagination/at is"),
        (with_operation(pagination={"style": "url"}), "/operations/call/pagination/at is required"),
    ],
)  # fmt: skip
def test_custom__definition_that_is_wrong__is_refused_by_place(
    acme: Api, definition: dict[str, Any], said: str
) -> None:
    answer = acme.post("/v1/customs", {"name": "wrong", "data": text_of(definition)})
    problem = assert_problem(answer, 400, at="/data")
    messages = [problem["message"], *(cause["message"] for cause in problem.get("cause", ()))]
    assert any(message.startswith(f"/data: {said}") for message in messages), messages


@pytest.mark.parametrize(
    "data, said",
    [
        ("[1]", "must be an object"),
        ("name: x\nname: y", "the key is there twice"),
        ("name: &a x", "anchors"),
        ("name: [", "no YAML at line"),
        ("name: 2026", "/name must be a string"),
    ],
)
def test_custom__document_that_is_none__is_refused(acme: Api, data: str, said: str) -> None:
    problem = assert_problem(acme.post("/v1/customs", {"data": data}), 400, at="/data")
    assert said in str([problem["message"], *(cause["message"] for cause in problem.get("cause", ()))])


def test_custom__nulls__count_as_absent_but_in_bodies(acme: Api) -> None:
    nothing = dict.fromkeys(("query", "headers", "pagination", "expect", "endpoint", "response", "rate_limit"))
    operation = {"path": "/", "method": "POST", "body": {"a": None, "b": [None]}, **nothing}
    definition = changed(operations={"call": operation, "other": {"path": "/", "body": None, "method": None}})
    definition |= {"check": None, "rate_limit": None, "endpoints": None, "vendor": None}
    custom = make_custom(acme, definition)
    with scoped(acme.scope):
        kept = Custom.objects.get(id=custom["id"]).definition
    assert kept["operations"] == {
        "call": {"path": "/", "method": "POST", "body": {"a": None, "b": [None]}},
        "other": {"path": "/"},
    }
    assert "check" not in kept
    assert ok(acme.get("/v1/capabilities/providers/desk"))["vendor"] == "Your organization"
    without = {"name": "x", "operations": {"a": None}}
    assert_problem(acme.post("/v1/customs", {"data": text_of(without)}), 400, at="/data")


def test_custom__many_errors__are_bounded(acme: Api) -> None:
    operations = {f"o{n}": {"path": "x", "query": {f"q{m}": "{tags.x}" for m in range(20)}} for n in range(50)}
    problem = assert_problem(acme.post("/v1/customs", {"data": text_of(changed(operations=operations))}), 400)
    assert len(problem["cause"]) <= 50


def test_custom__more_than_an_organization_may_have__is_refused(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "MOST", 2)
    for name in ("one", "two"):
        make_custom(acme, name=name)
    assert_problem(acme.post("/v1/customs", {"data": text_of(DEFINITION)}), 409, "conflict")
    ok(acme.patch("/v1/customs/two", [{"op": "replace", "path": "/fullname", "value": "Two"}]))


def test_custom__schema__is_no_name_of_one(acme: Api) -> None:
    assert_problem(acme.post("/v1/customs", {"name": "schema", "data": text_of(DEFINITION)}), 400, at="/name")


# --- the catalog ---------------------------------------------------------------------------------


def test_capabilities__custom_providers__are_those_of_the_organization(acme: Api, globex: Api) -> None:
    custom = make_custom(acme)
    shown = ok(acme.get("/v1/capabilities/providers/desk"))
    assert shown == {
        "id": custom["id"],
        "name": "desk",
        "fullname": "Help desk",
        "vendor": "Example",
        "description": "Tickets of our help desk.",
        "connector_id": "custom",
        "connector": "custom",
        "release": {"availability": "pre-release", "environments": ["prod", "test"]},
    }
    assert ok(acme.get(f"/v1/capabilities/providers/{custom['id']}")) == shown
    assert ok(acme.get("/v1/capabilities/providers"))[186:] == [shown]
    assert own(acme) == [custom["id"]]
    expanded = ok(acme.get("/v1/capabilities/connectors", query={"expand": "providers"}))
    assert [p["id"] for c in expanded for p in c["providers"] if c["id"] == "custom"] == ["custom_synqly", custom["id"]]
    whole = ok(acme.get("/v1/capabilities/providers/desk", query={"expand": "connector"}))
    assert whole["connector"]["provider_ids"] == ["custom_synqly", custom["id"]]

    assert own(globex) == []
    for name in ("desk", custom["id"]):
        assert_problem(globex.get(f"/v1/capabilities/providers/{name}"), 404)


def own(api: Api) -> list[str]:
    """The custom providers among those of the connector."""
    connectors = {each["id"]: each for each in ok(api.get("/v1/capabilities/connectors"))}
    return [each for each in connectors["custom"]["provider_ids"] if each != "custom_synqly"]


def test_capabilities__schema_of_a_custom_provider__asks_for_what_it_defines(acme: Api) -> None:
    custom = make_custom(acme, changed(endpoints=TWO))
    query = {"expand": "provider_config"}
    schema = ok(acme.get("/v1/capabilities/providers/desk", query=query))["provider_config"]
    assert schema["properties"]["custom_id"]["const"] == custom["id"]
    assert schema["properties"]["tags"]["required"] == ["site"]
    config = {
        "type": "custom_synqly",
        "custom_id": custom["id"],
        "tags": {"site": "north"},
        "endpoints": {
            "default": {"credential": {"type": "basic", "username": "ann", "secret": "x"}},
            "files": {"credential": {"type": "secret_id", "value": "key"}},
        },
    }
    validator = jsonschema_rs.Draft202012Validator(schema)
    assert validator.is_valid(config)
    for wrong in (
        config | {"tags": {}},
        config | {"tags": {"site": "north", "more": "x"}},
        config | {"custom_id": "desk"},
        config | {"endpoints": {"default": config["endpoints"]["default"]}},
        config
        | {"endpoints": {name: {"credential": {"type": "token", "secret": "x"}} for name in ("default", "files")}},
    ):
        assert not validator.is_valid(wrong)


def test_capabilities__changed_definition__is_shown_at_once(acme: Api) -> None:
    make_custom(acme)
    value = text_of(changed(name="Service desk", check=None))
    ok(acme.patch("/v1/customs/desk", [{"op": "replace", "path": "/data", "value": value}]))
    shown = ok(acme.get("/v1/capabilities/providers/desk"))
    assert (shown["fullname"], shown["release"]["availability"]) == ("Service desk", "in-development")
    assert acme.delete("/v1/customs/desk").status_code == 204
    assert own(acme) == []
