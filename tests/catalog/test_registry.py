"""The catalog's data and how configurations are validated against it."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from django.conf import settings

from catalog import registry
from catalog.members import Schema, resolve
from catalog.registry import Provider, get_connector, get_provider, list_connectors, list_providers
from catalog.validation import ConfigError
from tests.catalog.configs import build_minimal, build_whole

CONTRACT = Path(settings.BASE_DIR).parent / "shared" / "contract"
each_provider = pytest.mark.parametrize("provider", list_providers(), ids=lambda provider: provider.id)
needs_contract = pytest.mark.skipif(not CONTRACT.is_dir(), reason="the contract's data is not beside the checkout")


def find(type_: str) -> Provider:
    provider = get_provider(type_)
    assert provider is not None
    return provider


def read_contract(name: str) -> Any:
    return json.loads((CONTRACT / name).read_text())


def list_pointers(errors: list[ConfigError]) -> list[str]:
    return [error.pointer for error in errors]


# --- the contract ------------------------------------------------------------------------------


@needs_contract
def test_providers__compared_with_the_contract__are_the_same_ones() -> None:
    assert sorted(read_contract("providers.json")["providers"]) == [p.id for p in list_providers()]


@needs_contract
@each_provider
def test_provider__compared_with_the_contract__has_the_same_members(provider: Provider) -> None:
    contract = read_contract("providers.json")
    expected = contract["providers"][provider.id] | {"type": f"Literal['{provider.id}']"}
    compare_object(provider.schema, provider.schema, expected, contract)


def compare_object(schema: Schema, root: Schema, fields: dict[str, str], contract: dict[str, Any]) -> None:
    assert set(schema["properties"]) == set(fields)
    assert schema["additionalProperties"] is False
    # The contract gives `type` a default; on the wire it is what tells the alternatives apart.
    needed = {name for name, kind in fields.items() if name == "type" or not kind.endswith(" = optional")}
    assert set(schema.get("required", ())) == needed
    for name, kind in fields.items():
        compare(schema["properties"][name], root, kind.removesuffix(" = optional"), contract)


def compare(schema: Schema, root: Schema, kind: str, contract: dict[str, Any]) -> None:
    schema = resolve(schema, root)
    name, _, inner = kind.removesuffix("]").partition("[")
    if name == "Literal":
        assert schema["const"] == inner.strip("'")
    elif name == "Union":
        forms = [resolve(form, root) for form in schema["oneOf"]]
        assert len(forms) == len(inner.split(", "))
        for form, type_ in zip(forms, inner.split(", "), strict=True):
            compare_object(form, root, contract["types"][type_], contract)
    elif name == "List":
        assert schema["type"] == "array"
        compare(schema["items"], root, inner, contract)
    elif name == "Dict":
        assert schema["type"] == "object"
        value = inner.removeprefix("str, ")
        if value != "Any":
            compare(schema["additionalProperties"], root, value, contract)
    elif kind in contract["enums"]:
        assert schema["enum"] == contract["enums"][kind]
    elif kind in contract["types"]:
        compare_object(schema, root, contract["types"][kind], contract)
    else:
        assert schema["type"] == {"str": "string", "int": "integer", "bool": "boolean"}[kind]
        assert kind != "str" or "maxLength" in schema


@needs_contract
def test_connectors__compared_with_the_contract__name_its_operations() -> None:
    enums = read_contract("models.json")["enums"]
    assert [connector.id for connector in list_connectors()] == enums["CategoryId"]
    assert sorted(o for c in list_connectors() for o in c.operations) == sorted(enums["OperationId"])
    assert {p.availability for p in list_providers()} <= set(enums["Availability"])


# --- the data itself ---------------------------------------------------------------------------


@each_provider
def test_provider__as_data__is_complete(provider: Provider) -> None:
    assert provider.schema["properties"]["type"]["const"] == provider.id
    assert all([provider.fullname, provider.vendor, provider.description.endswith(".")])
    connector = get_connector(provider.connector_id)
    assert connector is not None
    assert provider.id in connector.provider_ids
    assert provider.is_mock == ("mock" in provider.id) == ("(mock)" in provider.fullname)
    assert provider.environments == (("test",) if provider.is_mock else ("prod", "test"))
    is_checked = provider.check["kind"] != "none"
    assert provider.availability == ("pre-release" if is_checked else "in-development")


@each_provider
def test_schema__of_each_provider__is_valid_and_stands_alone(provider: Provider) -> None:
    jsonschema_rs.meta.validate(provider.schema)
    assert "../" not in json.dumps(provider.schema)
    for member in provider.schema["properties"].values():
        assert "const" in member or (member["title"] and member["description"].endswith("."))


def test_registry__first_use__reads_all_files_within_150_ms() -> None:
    elapsed = []
    for _ in range(3):
        registry._read_providers.cache_clear()
        begin = time.perf_counter()
        list_providers()
        elapsed.append(time.perf_counter() - begin)
    assert min(elapsed) < 0.15


def test_registry__import__reads_nothing() -> None:
    code = "from catalog import registry; print(registry._read_providers.cache_info().currsize)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "synqmgr.settings"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"


def test_get_provider__unknown_type__is_none() -> None:
    assert get_provider("../apps") is None
    assert get_connector("nothing") is None


def test_documentation__table_of_checks__counts_the_data() -> None:
    counts = collections.Counter((p.connector_id, p.check["kind"]) for p in list_providers())
    rows = [
        f"| {c.id} | {counts[c.id, 'http']} | {counts[c.id, 'mock']} | {counts[c.id, 'none']} |"
        for c in list_connectors()
    ]
    kinds = collections.Counter(p.check["kind"] for p in list_providers())
    rows.append(f"| **all {len(list_providers())}** | {kinds['http']} | {kinds['mock']} | {kinds['none']} |")
    assert "\n".join(rows) in (Path(settings.BASE_DIR) / "docs" / "providers.md").read_text()


# --- validation --------------------------------------------------------------------------------


@each_provider
def test_validate__minimal_and_whole_configuration__are_accepted(provider: Provider) -> None:
    assert provider.validate(build_minimal(provider)) == []
    for form in range(12):
        assert provider.validate(build_whole(provider, form)) == []


@each_provider
def test_validate__unknown_field__is_named(provider: Provider) -> None:
    errors = provider.validate({**build_minimal(provider), "a/b": "S3CRET"})
    assert errors == [ConfigError("/a~1b", "is not a field of this configuration", value_is_secret=True)]


@each_provider
def test_validate__missing_field__is_named(provider: Provider) -> None:
    config = build_minimal(provider)
    for name in config:
        rest = {other: value for other, value in config.items() if other != name}
        assert provider.validate(rest) == [ConfigError(f"/{name}", "is required")]
        assert provider.validate(config | {name: None}) == [ConfigError(f"/{name}", "is required")]


@each_provider
def test_validate__wrong_type__is_named(provider: Provider) -> None:
    config = build_whole(provider)
    for name in config:
        errors = provider.validate(config | {name: [[]]})
        assert errors
        assert all(error.pointer.startswith(f"/{name}") for error in errors)


@pytest.mark.parametrize(
    ("credential", "expected"),
    [
        ("S3CRET", ConfigError("/credential", "must be an object with a `type`")),
        ({"secret": "S3CRET"}, ConfigError("/credential/type", "is required")),
        ({"type": "token"}, ConfigError("/credential/type", "must be one of basic, basic_id, service_account,")),
        ({"type": "basic", "username": "u"}, ConfigError("/credential/secret", "is required")),
        (
            {"type": "basic", "username": "u", "secret": "S3CRET" * 20000},
            ConfigError("/credential/secret", "must be at most 65536 characters long"),
        ),
        (
            {"type": "basic_id", "value": "x", "secret": "S3CRET"},
            ConfigError("/credential/secret", "is not a field of this configuration"),
        ),
    ],
)
def test_validate__wrong_credential__is_located_and_never_repeated(credential: object, expected: ConfigError) -> None:
    provider = find("ticketing_jira")
    errors = provider.validate(build_minimal(provider) | {"credential": credential})
    assert list_pointers(errors) == [expected.pointer]
    assert errors[0].message.startswith(expected.message)
    assert errors[0].value_is_secret
    assert "S3CRET" not in repr(errors)


@pytest.mark.parametrize(
    ("url", "is_secret"),
    [
        ("https://user:S3CRET@example.com", True),
        ("ftp://example.com", False),
        ("https://", False),
        ("https://a b", False),
        ("https://example.com/#x", False),
        ("", False),
    ],
)
def test_validate__wrong_url__is_refused_once(url: str, is_secret: bool) -> None:
    provider = find("ticketing_jira")
    errors = provider.validate(build_minimal(provider) | {"url": url})
    assert [(error.pointer, error.value_is_secret) for error in errors] == [("/url", is_secret)]
    assert "S3CRET" not in repr(errors)


def test_validate__nested_members__are_located() -> None:
    panther = find("siem_panther")
    config = {"type": "siem_panther", "api_config": {"url": "https://a.example", "credential": {"type": "basic"}}}
    assert list_pointers(panther.validate(config)) == ["/api_config/credential/type"]
    jira = find("ticketing_jira")
    config = build_minimal(jira) | {"custom_field_mappings": [{"name": "n", "project_id": "*"}]}
    assert list_pointers(jira.validate(config)) == ["/custom_field_mappings/0/provider_field_path"]
    custom = find("custom_synqly")
    config = build_minimal(custom) | {"endpoints": {"a/b": {"credential": {"type": "token"}}}}
    assert list_pointers(custom.validate(config)) == ["/endpoints/a~1b/credential/secret"]


@pytest.mark.parametrize("config", [None, [], "text", 7, {"type": "ticketing_jira", "url": "\ud800"}])
def test_validate__what_is_not_an_object_of_json__is_an_error(config: object) -> None:
    assert list_pointers(find("ticketing_jira").validate(config)) == [""]


def test_validate__endless_nesting_and_endless_errors__are_bounded() -> None:
    provider = find("ticketing_jira")
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"a": deep}
    assert list_pointers(provider.validate(deep)) == [""]
    assert len(provider.validate({f"field{number}": 1 for number in range(1000)})) == 50


def test_validate__too_many_entries__is_said_before_their_errors() -> None:
    jira = find("ticketing_jira")
    errors = jira.validate(build_minimal(jira) | {"custom_field_mappings": [{}] * 60_000})
    assert errors == [ConfigError("/custom_field_mappings", "must have at most 1000 items")]
    custom = find("custom_synqly")
    errors = custom.validate(build_minimal(custom) | {"endpoints": {str(n): {} for n in range(5000)}})
    assert errors == [ConfigError("/endpoints", "must have at most 100 members")]


# --- credential members ------------------------------------------------------------------------


def test_credential_members__nested_ones__are_found_with_their_types() -> None:
    found = {
        provider.id: {member.pointer: member.types for member in provider.credential_members(build_whole(provider))}
        for provider in list_providers()
    }
    assert found["siem_panther"] == {"/api_config/credential": ("token",), "/http_ingest/credential": ("token",)}
    assert found["sink_http"] == {"/authorization/credential": ("basic",), "/signing_credential": ("secret",)}
    assert found["custom_synqly"] == {"/endpoints/any/credential": ("aws", "basic", "o_auth_client", "secret", "token")}
    assert found["sink_elasticsearch"]["/auth_options/shared_secret"] == ("secret",)
    assert found["notifications_slack_webhook"] == {"/webhook_url": ("secret",)}
    assert found["siem_sumo_logic"] == {"/collection_url": ("secret",), "/credential": ("basic",)}
    assert found["edr_trellix"] == {"/api_key": ("token",), "/credential": ("o_auth_client",)}
    assert found["notifications_teams"] == {"/credential": ("o_auth_client", "secret")}
    without = {name for name, members in found.items() if not members}
    assert without == {p.id for p in list_providers() if p.is_mock} | {"sink_q_radar"}


def test_credential_member__form_that_is_not_a_type__stores_and_refers_to_its_type() -> None:
    provider = find("ticketing_jira")
    inline = {"type": "service_account", "username": "u", "secret": "S3CRET"}
    [member] = provider.credential_members(build_minimal(provider) | {"credential": inline})
    assert (member.form, member.credential_type, member.is_reference) == ("service_account", "basic", False)
    assert member.credential_config == {"type": "basic", "username": "u", "secret": "S3CRET"}
    assert "S3CRET" not in repr(member)
    stored = build_minimal(provider) | {"credential": member.refer_to("some-id")}
    assert provider.validate(stored) == []
    [member] = provider.credential_members(stored)
    assert member.value == {"type": "service_account_id", "value": "some-id"}
    assert (member.form, member.credential_type, member.is_reference) == ("service_account", "basic", True)


@each_provider
def test_credential_members__every_form__names_its_type(provider: Provider) -> None:
    for form in range(12):
        for member in provider.credential_members(build_whole(provider, form)):
            assert member.credential_type in member.types
            assert member.is_reference == ("value" in member.value)
