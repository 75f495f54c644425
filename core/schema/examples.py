"""Examples: made from the schema, so that they cannot disagree with it."""

from __future__ import annotations

import hashlib
from typing import Any

import inflection

Schema = dict[str, Any]
INSTANT = "2026-01-31T12:00:00.000000Z"
_TEXTS = {
    "description": "What it is for.",
    "data": "name: example",
    "url": "https://example.com/hook",
    "labels": "emea",
    "secret": "not-a-real-secret",
    "username": "someone@example.com",
    "end_date": "2026-12-31",
    "ids": "*",
    "categories": "ticketing",
    "category": "ticketing",
    "connector": "ticketing",
    "connector_id": "ticketing",
    "role_binding": "viewer",
    "resource_type": "organization",
    "contact": "ops@example.com",
    "reply_to": "ops@example.com",
    "picture": "https://example.com/logo.png",
    "webhook_url": "https://example.com/hook",
    "month": "2026-01",
    "allowed_networks": "203.0.113.0/24",
}


class Examples:
    """Makes values of schemas that refer to one set of components."""

    def __init__(self, components: Schema) -> None:
        self.components = components

    def of(self, schema: Schema, name: str = "", noun: str = "") -> Any:  # noqa: PLR0911 - one line a kind
        """A value that the schema calls valid. `name` is the member it is for, `noun` what that belongs to."""
        if "examples" in schema or "default" in schema:
            return schema["examples"][0] if "examples" in schema else schema["default"]
        if "$ref" in schema:
            component = schema["$ref"].rpartition("/")[2]
            return self.of(self.components[component], name, _noun_of(component))
        for key in ("oneOf", "anyOf", "allOf"):
            if key in schema and "properties" not in schema:
                return self.of(schema[key][0], name, noun)
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "")
        kind = kind[0] if isinstance(kind, list) else kind
        if kind == "object":
            return {n: self.of(s, n, noun) for n, s in schema.get("properties", {}).items() if not _is_ignored(s)}
        if kind == "array":
            return [self.of(schema["items"], name, noun)]
        if kind in ("integer", "number"):
            return max(1, schema.get("minimum", 1))
        if kind == "boolean":
            return True
        return _text(schema, name, noun) if kind == "string" else f"any {name or 'value'}"


def _is_ignored(schema: Schema) -> bool:
    return set(schema) == {"description"} and "ignored" in schema["description"]


def _noun_of(component: str) -> str:
    name = component
    for verb in ("Create", "Update"):
        name = name.removeprefix(verb)
    for suffix in ("Request", "ResponseResult", "Response"):
        name = name.removesuffix(suffix)
    return inflection.underscore(name).replace("_", " ")


def _text(schema: Schema, name: str, noun: str) -> str:
    if schema.get("format") == "uuid" or name.endswith("_id"):
        return _id(noun if name == "id" else name.removesuffix("_ids").removesuffix("_id").replace("_", " "))
    if schema.get("format") == "date-time":
        return INSTANT
    if schema.get("format") == "go-duration" or name.endswith(("_ttl", "_duration")):
        return "24h"
    of_object = {"name": f"my-{noun.replace(' ', '-')}", "fullname": f"My {noun}"}
    return of_object.get(name) or _TEXTS.get(name, name.replace("_", "-"))


def _id(noun: str) -> str:
    """The same id for the same noun, so that examples fit together."""
    digest = hashlib.sha256(noun.encode()).hexdigest()
    return f"019c1472-8c00-7{digest[:3]}-9{digest[3:6]}-{digest[6:18]}"
