"""Custom providers as providers of the catalog: the schema of their configurations, and their check."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from catalog.customs.definitions import DEFAULT, PLACEHOLDER, Definition, endpoints_of
from catalog.customs.models import Custom
from catalog.registry import FORMS, Provider, get_provider
from core.instants import format_instant

TYPE = "custom_synqly"
CONNECTOR = "custom"
UNCHECKED = {"kind": "none", "reason": "its definition names no operation as `check`."}


@dataclasses.dataclass(frozen=True)
class _Source:
    """A definition, told apart from others by whose and how new it is."""

    custom_id: str
    updated_at: str
    definition: Definition = dataclasses.field(compare=False, repr=False)


def provider_of(custom: Custom) -> Provider:
    """The provider that a definition describes, made once for each save of it."""
    return _build(_Source(custom.id, format_instant(custom.updated_at), custom.definition))


@functools.lru_cache(maxsize=256)
def _build(source: _Source) -> Provider:
    generic, definition = get_provider(TYPE), source.definition
    assert generic is not None
    check = build_check(definition)
    return Provider(
        id=TYPE,
        fullname=definition["name"],
        vendor=definition.get("vendor", generic.vendor),
        description=definition.get("description", generic.description),
        connector_id=CONNECTOR,
        availability="in-development" if check["kind"] == "none" else "pre-release",
        environments=generic.environments,
        check=check,
        definition=_build_schema(generic, definition, source.custom_id),
    )


def _build_schema(generic: Provider, definition: Definition, custom_id: str) -> dict[str, Any]:
    """The generic configuration, with exactly the endpoints and tags that the definition has."""
    schema: dict[str, Any] = copy.deepcopy(dict(generic.definition))
    properties = schema["properties"]
    schema["title"] = definition["name"]
    endpoint = properties["endpoints"].pop("additionalProperties")
    endpoints = {name: _narrowed(endpoint, each["auth"]) for name, each in endpoints_of(definition).items()}
    tag = properties["tags"].pop("additionalProperties") | {"minLength": 1}
    tags = {name: {**tag, "title": name, "description": text} for name, text in definition.get("tags", {}).items()}
    properties["custom_id"] = {"const": custom_id, **{k: properties["custom_id"][k] for k in ("title", "description")}}
    for member, known in (("endpoints", endpoints), ("tags", tags)):
        closed = {"properties": known, "required": list(known), "additionalProperties": False}
        kept = {name: properties[member][name] for name in ("title", "description", "type")}
        properties[member] = kept | closed
    return schema


def _narrowed(endpoint: Mapping[str, Any], auth: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an endpoint that takes credentials of some types only."""
    narrowed: dict[str, Any] = copy.deepcopy(dict(endpoint))
    credential = narrowed["properties"]["credential"]
    credential["x-credential"] = {"types": list(auth)}
    credential["oneOf"] = [{"$ref": FORMS + form} for kind in auth for form in (kind, f"{kind}_id")]
    return narrowed


def build_check(definition: Definition) -> dict[str, Any]:
    """How a configuration is verified, as `catalog.verify` reads it."""
    if "check" not in definition:
        return UNCHECKED
    operation = definition["operations"][definition["check"]]
    name = operation.get("endpoint", DEFAULT)
    endpoint = endpoints_of(definition)[name]
    check = {
        "kind": "http",
        "base": build_base(name, endpoint),
        "path": localized(operation["path"]),
        "method": operation.get("method", "GET"),
        "query": {n: as_text(v) for n, v in localized(operation.get("query", {})).items() if not _is_input(v)},
        "headers": {n: v for n, v in localized(operation.get("headers", {})).items() if not _is_input(v)},
        "auth": [{"credential": credential_at(name), "types": build_schemes(endpoint)}],
        "expect": expected(operation),
        "skip_tls": f"/endpoints/{name}/skip_tls_verify",
    }
    if "body" in operation:
        check["json"] = localized(operation["body"])
    if check["method"] == "HEAD":
        check["answer"] = {"form": "any"}
    return check


def _is_input(value: Any) -> bool:
    return isinstance(value, str) and "{config.input." in value


def build_base(name: str, endpoint: Mapping[str, Any]) -> list[str]:
    """Where an endpoint is: what the configuration says, else the definition."""
    return [f"{{config.endpoints.{name}.url}}", localized(endpoint["base_url"]).rstrip("/")]


def build_schemes(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """By type of credential: the scheme that signs in with it."""
    return {kind: _scheme(localized(scheme)) for kind, scheme in endpoint["auth"].items()}


def _scheme(scheme: dict[str, Any]) -> dict[str, Any]:
    if scheme["scheme"] == "oauth2":
        url, scope = scheme.pop("token_url", None), scheme.pop("scope", None)
        params = {name: [value] for name, value in scheme.pop("params", {}).items()}
        base, scopes = [url] if url else [], [scope] if scope else []
        return {"style": "in_header", **scheme, "base": base, "path": "", "scope": scopes, "params": params}
    return {"value": "{secret.secret}", **scheme}


def credential_at(endpoint: str) -> str:
    """The pointer of an endpoint's credential in a configuration."""
    return f"/endpoints/{endpoint}/credential"


def expected(operation: Mapping[str, Any]) -> list[int]:
    return list(operation.get("expect", range(200, 300)))


def localized(value: Any) -> Any:
    """A copy whose placeholders are those of `catalog.templates`: tags and input are looked up in the configuration."""
    if isinstance(value, str):
        return PLACEHOLDER.sub(_relocate, value)
    if isinstance(value, dict):
        return {name: localized(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [localized(inner) for inner in value]
    return value


def _relocate(found: Any) -> str:
    whole: str = found[0]
    return whole if found["root"] == "secret" else "{config." + whole[1:]


def as_text(value: Any) -> str:
    """A value as it stands in an address or header."""
    return str(value).lower() if isinstance(value, bool) else str(value)
