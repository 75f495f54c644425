"""The schema: what is checked in is what the code gives, and it is the contract's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
import yaml
from django.conf import settings
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.renderers import OpenApiYamlRenderer
from drf_spectacular.validation import validate_schema

from core.kinds import kinds
from core.schema import Generator

CONTRACT = settings.BASE_DIR.parent / "shared" / "contract"
METHODS = ("get", "post", "put", "patch", "delete")
# Operations that the contract has not: a second factor, and what a browser and an identity provider call.
BEYOND = {"auth_enrol_second_factor", "auth_confirm_second_factor", "auth_remove_second_factor",
          "members_reset_second_factor", "auth_start_sso", "auth_finish_oidc", "auth_finish_saml",
          "auth_exchange_code", "auth_saml_metadata", "auth_saml_metadata_of",
          "mappings_list_versions", "customs_get_schema",
          # what became of what a webhook was sent
          "organization_webhooks_enable", "organization_webhooks_disable", "organization_webhooks_test",
          "organization_webhooks_recover", "organization_webhooks_list_deliveries",
          "organization_webhooks_get_delivery", "organization_webhooks_resend_delivery"}  # fmt: skip
OWN_VOCABULARIES = {"DeliveryState", "DisabledReason"}
# Where the contract and this API differ on purpose: members it has not, members required beyond or below it.
DIFFERENCES: dict[str, dict[str, set[str]]] = {
    # A credential without a secret would be of no use.
    "CreateCredentialRequest": {"stricter": {"config"}},
    # A second factor goes with the password, and an organization may want one of everybody.
    "LogonRequest": {"extra": {"code"}},
    "OrganizationOptions": {"extra": {"require_second_factor"}},
    "OrganizationOptionsRequest": {"extra": {"require_second_factor"}},
    # Tokens can be held to networks.
    "CreateIntegrationTokenRequest": {"extra": {"allowed_networks"}},
    "CreateMcpTokenRequest": {"extra": {"allowed_networks"}},
    "CreateSynqlyIntegrationsTokenRequest": {"extra": {"allowed_networks"}},
    "CreateTokenRequest": {"extra": {"allowed_networks"}},
    "ProvisionedTokenRequest": {"extra": {"allowed_networks"}},
    # Shown of a webhook that is disabled.
    "OrganizationWebhook": {"extra": {"disabled_at", "disabled_reason"}},
    "UpdateOrganizationWebhookRequest": {"extra": {"disabled_at", "disabled_reason"}},
    # Computed, so what an update says of it is ignored.
    "UpdateIntegrationRequest": {"looser": {"provider_fullname"}},
    # A configuration has a name like everything else, and an update may send back all that was read.
    "CreateSsoRequest": {"extra": {"name"}},
    "UpdateSsoRequest": {"extra": {"name", "created_at", "id", "identity_provider"}},
    # A password that an administrator sets for a member who has forgotten the old one.
    "UpdateMemberRequest": {"extra": {"secret"}},
    # Who may sign in; shown only where it was given.
    **{
        f"{name}_{kind}": {"extra": {"provisioning", "allowed_domains", "trust_email", "require_second_factor"}}
        for name in ("CreateSsoConfiguration", "UpdateSsoConfiguration", "IdPConfiguration")
        for kind in ("Oidc", "Saml")
    },
    # Details of operations come with the connector APIs.
    "ProviderOperations": {
        "missing": {
            "actions", "description", "filters", "fullname", "orders", "request_body", "request_method",
            "request_path", "required_fields", "supported_response_fields",
        }
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    """The schema as the code gives it now."""
    schema: dict[str, Any] = Generator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return schema


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The checked-in schema."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load((settings.BASE_DIR / "openapi.yaml").read_bytes(), Loader=loader)
    return loaded


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    """The contract's operations and models, where they are at hand."""
    if not CONTRACT.is_dir():
        pytest.skip(f"the contract is not at {CONTRACT}")
    operations = json.loads((CONTRACT / "operations.json").read_bytes())
    return {"operations": operations, **json.loads((CONTRACT / "models.json").read_bytes())}


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def is_optional(type_name: str) -> bool:
    return type_name.endswith(" = optional")


def test_schema__generated_anew__is_the_checked_in_file(generated: dict[str, Any]) -> None:
    rendered = OpenApiYamlRenderer().render(generated, renderer_context={})  # type: ignore[no-untyped-call]
    checked_in = (settings.BASE_DIR / "openapi.yaml").read_bytes()
    assert rendered == checked_in, "run: manage.py spectacular --validate --fail-on-warn --file openapi.yaml"


def test_schema__generated__warns_of_nothing_and_is_valid(generated: dict[str, Any]) -> None:
    assert not GENERATOR_STATS
    validate_schema(generated)  # type: ignore[no-untyped-call]


def test_operations__each__is_the_contracts(document: dict[str, Any], contract: dict[str, Any]) -> None:
    known = {(f"{o['group']}_{o['operation']}", o["method"], o["path"]) for o in contract["operations"]}
    ours = {(operation["operationId"], method, path) for method, path, operation in operations_of(document)}
    assert {each for each in ours - known if each[0] not in BEYOND} == set()


def test_operations__answers_and_bodies__have_the_contracts_components(
    document: dict[str, Any], contract: dict[str, Any]
) -> None:
    by_id = {f"{o['group']}_{o['operation']}": o for o in contract["operations"]}
    wrong = {}
    for _, _, operation in operations_of(document):
        if operation["operationId"] in BEYOND:
            continue
        expected = by_id[operation["operationId"]]["response"]
        if expected not in contract["models"]:
            continue
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        if (name := schema.get("$ref", "").rpartition("/")[2]) != expected:
            wrong[operation["operationId"]] = (name, expected)
    assert wrong == {}


def test_components__each_of_the_contract__has_its_members_and_required_flags(
    document: dict[str, Any], contract: dict[str, Any]
) -> None:
    wrong = {}
    for name, schema in document["components"]["schemas"].items():
        model = contract["models"].get(name) or contract["models"].get(name.removesuffix("Request"))
        if model is None or "properties" not in schema:
            continue
        if difference := compared(name, schema, model["fields"]):
            wrong[name] = difference
    assert wrong == {}


def test_update_bodies__each__have_the_contracts_members_and_required_flags(
    document: dict[str, Any], contract: dict[str, Any]
) -> None:
    by_id = {f"{o['group']}_{o['operation']}": o for o in contract["operations"]}
    wrong = {}
    for method, _, operation in operations_of(document):
        if method != "PUT" or "requestBody" not in operation:
            continue
        name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
        if difference := compared(name, schema, by_id[operation["operationId"]]["body"]):
            wrong[name] = difference
    assert wrong == {}


def compared(name: str, schema: dict[str, Any], fields: dict[str, str]) -> dict[str, set[str]]:
    """How a component differs from the contract's model. A `type` that tells shapes apart must be there here."""
    discriminators = {n for n, t in fields.items() if t.startswith("Literal[")}
    required = set(schema.get("required", []))
    asked = {n for n, t in fields.items() if not is_optional(t)}
    found = {
        "extra": set(schema["properties"]) - set(fields),
        "missing": set(fields) - set(schema["properties"]),
        "stricter": required - asked - discriminators,
        "looser": asked - required - (set(fields) - set(schema["properties"])),
    }
    allowed = DIFFERENCES.get(name, {})
    return {kind: names for kind, names in found.items() if names != allowed.get(kind, set())}


def test_vocabularies__each_of_the_contract__has_its_values(document: dict[str, Any], contract: dict[str, Any]) -> None:
    wrong = {}
    for name, schema in document["components"]["schemas"].items():
        if (
            "enum" in schema
            and name not in OWN_VOCABULARIES
            and set(schema["enum"]) != set(contract["enums"].get(name, ()))
        ):
            wrong[name] = schema["enum"]
    assert wrong == {}


def test_operations__each__are_described_with_examples_and_errors(document: dict[str, Any]) -> None:
    for method, _, operation in operations_of(document):
        name = operation["operationId"]
        assert operation["summary"], name
        assert operation["description"].endswith("."), name
        assert len(operation["summary"]) <= 100, name
        assert all(p.get("description") for p in operation.get("parameters", []) if "$ref" not in p), name
        contents = [answer.get("content", {}) for s, answer in operation["responses"].items() if s.startswith("2")]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        shown = [media for content in contents for media in content.values()]
        assert all("example" in media or "examples" in media for media in shown), name
        assert shown or method in ("DELETE", "PUT") or {"204", "303"} & set(operation["responses"]), name
        assert {"400", "500", "503"} <= set(operation["responses"]), name
        assert "security" not in operation or {"401", "402", "403"} <= set(operation["responses"]), name
        assert ("requestBody" in operation) == ({"413", "415"} <= set(operation["responses"])), name


def test_errors__each__are_problems_with_examples(document: dict[str, Any], generated: dict[str, Any]) -> None:
    for name, answer in document["components"]["responses"].items():
        content = answer["content"]["application/problem+json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, name
        for slug, example in content["examples"].items():
            assert example["value"]["type"] == f"/problems/{slug}"
            assert slug in kinds()


def test_examples__each__are_valid(document: dict[str, Any]) -> None:
    schemas = {"components": document["components"]}
    checked = 0
    contents = [answer["content"] for answer in document["components"]["responses"].values()]
    for _, _, operation in operations_of(document):
        contents.append(operation.get("requestBody", {}).get("content", {}))
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
    for media in (media for content in contents for media in content.values()):
        values = [media["example"]] if "example" in media else [e["value"] for e in media["examples"].values()]
        for value in values:
            jsonschema_rs.validate(media["schema"] | schemas, value)
            checked += 1
    assert checked > 20


def test_patterns__each__mean_the_same_in_every_dialect(document: dict[str, Any]) -> None:
    patterns = re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(document))
    assert patterns
    for pattern in {json.loads(f'"{p}"') for p in patterns}:
        re.compile(pattern)
        assert not re.search(r"\\[AZzdwb]|\(\?P|\(\?<|[*+?}]\+", pattern), pattern


def test_request_components__each__refuse_unknown_members(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for _, _, operation in operations_of(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            reference = media["schema"].get("$ref")
            if reference:
                assert schemas[reference.rpartition("/")[2]]["additionalProperties"] is False, operation["operationId"]
