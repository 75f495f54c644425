"""The operations of a JSON Patch in the schema."""

from __future__ import annotations

from typing import Any

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent
from rest_framework import serializers

from core.fields import EnumField, StringField
from core.kinds import AnyField
from core.schema import patterns

OPS = ("add", "copy", "move", "remove", "replace", "test")
_POINTER = patterns.whole(patterns.POINTER)


class PatchOperationSerializer(serializers.Serializer[Any]):
    """One operation of a JSON Patch (RFC 6902)."""

    examples = {"op": "replace", "path": "/fullname", "value": "A better name"}

    op = EnumField(OPS, help_text="What to do.")
    path = StringField(allow_blank=True, max_length=None, help_text="JSON Pointer to the place that is changed.")
    value = AnyField(required=False, help_text="The value of `add`, `replace` and `test`.")

    def get_fields(self) -> dict[str, Any]:
        source = StringField(required=False, help_text="JSON Pointer to what `copy` and `move` take.")
        return {**super().get_fields(), "from": source}


def with_conditions(registry: ComponentRegistry) -> None:
    """States which members each kind of operation needs."""
    schema = registry["PatchOperationRequest", ResolvedComponent.SCHEMA].schema
    members = schema["properties"]
    members["path"] = {**members["path"], "pattern": _POINTER}
    members["from"] = {"description": members["from"]["description"], "type": ["string", "null"]}
    schema["allOf"] = [
        {"if": _is("add", "replace", "test"), "then": {"required": ["value"]}},
        {
            "if": _is("copy", "move"),
            "then": {"required": ["from"], "properties": {"from": {"pattern": _POINTER, "not": {"type": "null"}}}},
        },
    ]


def _is(*ops: str) -> dict[str, Any]:
    return {"properties": {"op": {"enum": list(ops)}}, "required": ["op"]}
