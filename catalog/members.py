"""Walking a configuration along its schema: where credentials are and which values are secret."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from core.parsing import json_pointer

Schema = Mapping[str, Any]
MAX_DEPTH = 32  # levels of nesting in a configuration; the deepest schema has 5


class TooDeepError(ValueError):
    """A configuration is nested further than any schema allows."""


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialMember:
    """A member that holds a credential: inline, or as a reference to a stored one.

    `types` are the credential types that may be stored for it. A form is the `type` discriminator in the
    configuration; most are named as the type that they store, but a Jira `service_account` stores `basic`.
    """

    pointer: str
    value: Any = dataclasses.field(repr=False)
    types: tuple[str, ...]
    stores: Mapping[str, str] = dataclasses.field(repr=False)  # form -> credential type
    refers_to: Mapping[str, str] = dataclasses.field(repr=False)  # `*_id` form -> credential type

    @property
    def form(self) -> str:
        """The discriminator without `_id`: how the credential is used, wherever it is kept."""
        return self._discriminator.removesuffix("_id") if self.is_reference else self._discriminator

    @property
    def is_reference(self) -> bool:
        return self._discriminator in self.refers_to

    @property
    def credential_type(self) -> str | None:
        """The type of the credential it holds or refers to; none if the configuration is not valid."""
        known = {**self.stores, **self.refers_to}
        return known.get(self._discriminator)

    @property
    def credential_config(self) -> dict[str, Any]:
        """An inline credential as the configuration of a stored one."""
        return {**self.value, "type": self.credential_type}

    def refer_to(self, credential_id: str) -> dict[str, str]:
        """What replaces an inline credential once it is stored."""
        return {"type": f"{self.form}_id", "value": credential_id}

    @property
    def _discriminator(self) -> str:
        found = self.value.get("type") if isinstance(self.value, dict) else None
        return found if isinstance(found, str) else ""


def resolve(schema: Schema, root: Schema) -> Schema:
    """Follow a local reference. Members of `$defs` do not refer further."""
    reference = schema.get("$ref")
    return schema if reference is None else root["$defs"][reference.removeprefix("#/$defs/")]


def walk(schema: Schema, root: Schema, value: Any, pointer: str = "") -> Iterator[tuple[str, Schema, Any]]:
    """Every (pointer, schema, value) of a configuration that its schema knows, outside in."""
    schema = resolve(schema, root)
    yield pointer, schema, value
    if "oneOf" in schema:
        schema = choose_form(schema, root, value)
    if isinstance(value, dict):
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for name, inner in value.items():
            found = known.get(name, others)
            if isinstance(found, Mapping) and inner is not None:
                yield from walk(found, root, inner, pointer + json_pointer([name]))
    elif isinstance(value, list) and "items" in schema:
        for index, inner in enumerate(value):
            yield from walk(schema["items"], root, inner, f"{pointer}/{index}")


def choose_form(schema: Schema, root: Schema, value: Any) -> Schema:
    """The alternative of a union that the value's `type` names, or a schema that knows nothing."""
    if isinstance(value, dict):
        for alternative in schema["oneOf"]:
            form = resolve(alternative, root)
            if form["properties"]["type"]["const"] == value.get("type"):
                return form
    return {}


def find_credentials(root: Schema, config: Any) -> list[CredentialMember]:
    return [
        _build_member(pointer, schema, root, value)
        for pointer, schema, value in walk(root, root, config)
        if "x-credential" in schema
    ]


def _build_member(pointer: str, schema: Schema, root: Schema, value: Any) -> CredentialMember:
    stores, refers_to = {}, {}
    for alternative in schema["oneOf"]:
        form = resolve(alternative, root)
        name = form["properties"]["type"]["const"]
        if "x-stores" in form:
            stores[name] = form["x-stores"]
        else:
            refers_to[name] = form["x-refers-to"]
    return CredentialMember(pointer, value, tuple(schema["x-credential"]["types"]), stores, refers_to)


def without_nulls(value: Any, depth: int = 0) -> Any:
    """A copy without members that are null: clients send null for what is not there."""
    if depth > MAX_DEPTH:
        raise TooDeepError
    if isinstance(value, dict):
        return {name: without_nulls(inner, depth + 1) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_nulls(inner, depth + 1) for inner in value]
    return value
