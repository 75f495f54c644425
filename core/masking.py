"""Bodies without their secrets: what the schema does not call harmless is masked, whatever it is named."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from core.fields import JsonObjectField
from core.parsing import pointer_steps

MASK = "***"
LONGEST = 1024  # characters of a text


@functools.cache
def shape_of(serializer_class: type[Any]) -> Any:
    """An instance to look fields up in, made once a class."""
    return serializer_class()


def masked(field: Any, value: Any) -> Any:
    """A value of a serializer or field with every secret replaced. Members that the schema lacks are secrets too."""
    if field is None or getattr(field, "secret", False):
        shown = hidden(value)
        if isinstance(value, Mapping) and value.get("type") in getattr(field, "types", ()):
            shown["type"] = value["type"]
        return shown
    if isinstance(value, Mapping):
        if forms := getattr(field, "forms", None):
            form = forms.get(value["type"]) if isinstance(value.get("type"), str) else None
            if form is None:
                return hidden(value)
            field = shape_of(form)
        if hasattr(field, "fields"):
            return {name[:LONGEST]: masked(field.fields.get(name), inner) for name, inner in value.items()}
        return dict(value) if isinstance(field, JsonObjectField) else hidden(value)
    if isinstance(value, list):
        child = getattr(field, "child", None)
        return [masked(child, inner) for inner in value]
    if isinstance(field, JsonObjectField) or any(hasattr(field, name) for name in ("fields", "forms", "child")):
        value = hidden(value)  # something else than the schema wants, such as an object written as text
    return value[:LONGEST] if isinstance(value, str) else value


def hidden(value: Any) -> Any:
    """The shape of a value: which members there are."""
    if isinstance(value, Mapping):
        return {name[:LONGEST]: hidden(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [hidden(inner) for inner in value]
    return value if value is None else MASK


def masked_patch(serializer: Any, operations: Any) -> Any:
    """A JSON Patch: each value is masked as the member it is for."""
    if not isinstance(operations, list):
        return hidden(operations)
    return [_masked_operation(serializer, each) if isinstance(each, Mapping) else hidden(each) for each in operations]


def _masked_operation(serializer: Any, operation: Mapping[str, Any]) -> dict[str, Any]:
    path = operation.get("path")
    shown = {name: operation[name][:LONGEST] for name in ("op", "path", "from") if isinstance(operation.get(name), str)}
    if "value" in operation:
        field = _field_at(serializer, path) if isinstance(path, str) else None
        shown["value"] = masked(field, operation["value"])
    return shown


def _field_at(serializer: Any, path: str) -> Any:
    """The field that a pointer leads to; None inside what is secret or unknown."""
    field = serializer
    for name in pointer_steps(path):
        if field is None or getattr(field, "secret", False) or hasattr(field, "forms"):
            return None
        field = field.fields.get(name) if hasattr(field, "fields") else getattr(field, "child", None)
    return field
