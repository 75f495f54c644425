"""Configurations made from a schema: the least it asks for, and all it knows."""

from __future__ import annotations

from typing import Any

from catalog.members import Schema, resolve
from catalog.registry import Provider

PATTERNS = {"^(organizations|projects)/[^/\\s]+$": "projects/one", "^[^/\\s]+/[^/\\s]+$": "acme/website"}
# Members whose value decides which address is called.
MEMBERS = {"site": "datadoghq.eu", "api_endpoint_url": "https://api.us1.app.wiz.io/graphql"}


def build_minimal(provider: Provider) -> dict[str, Any]:
    config: dict[str, Any] = _build(provider.schema, provider.schema, whole=False)
    return config


def build_whole(provider: Provider, form: int = 0) -> dict[str, Any]:
    """Every member. Each credential takes its form number `form`, or its last one."""
    config: dict[str, Any] = _build(provider.schema, provider.schema, whole=True, form=form)
    return config


def _build(schema: Schema, root: Schema, *, whole: bool, form: int = 0) -> Any:
    schema = resolve(schema, root)
    if "oneOf" in schema:
        forms = schema["oneOf"]
        return _build(forms[min(form, len(forms) - 1)], root, whole=whole, form=form)
    if schema.get("type") == "object":
        return _build_object(schema, root, whole=whole, form=form)
    if schema.get("type") == "array":
        return [_build(schema["items"], root, whole=whole, form=form)]
    return _build_scalar(schema)


def _build_scalar(schema: Schema) -> Any:
    listed = [schema["const"]] if "const" in schema else schema.get("enum")
    if listed is not None:
        return listed[0]
    if schema["type"] == "integer":
        return schema["minimum"]
    if schema["type"] == "boolean":
        return False
    sample = "https://provider.example" if schema.get("format") == "uri" else "value"
    return PATTERNS.get(schema.get("pattern", ""), sample)


def _build_object(schema: Schema, root: Schema, *, whole: bool, form: int) -> dict[str, Any]:
    known = schema.get("properties", {})
    names = known if whole else schema.get("required", ())
    made = {name: MEMBERS.get(name) or _build(known[name], root, whole=whole, form=form) for name in names}
    others = schema.get("additionalProperties")
    if isinstance(others, dict) and whole:
        made["any"] = _build(others, root, whole=whole, form=form)
    return made
