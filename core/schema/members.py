"""Components from serializers: their members with exactly the rules that the fields keep."""

from __future__ import annotations

from typing import Any

from drf_spectacular.drainage import has_override
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent, force_instance, get_doc
from rest_framework.fields import empty

from core.fields import EnumField, ListField
from core.schema import patterns, wording
from core.schema.declarations import camel, spaced
from core.schema.values import Schema, enum_name, exact_schema, loose_schema, nullable
from core.serializers import ResourceSerializer, StrictMixin
from core.unions import UnionField

new_component: Any = ResolvedComponent  # the library has no types for these
instance_of: Any = force_instance
REQUEST_OF = "x-request-of"  # marks the request form of a component that may also be shown; see `document`


class MemberSchema(AutoSchema):
    """The part of the schema that looks at serializers and fields."""

    registry: ComponentRegistry

    def define(self, name: str, schema: Schema, kind: str = ResolvedComponent.SCHEMA) -> Schema:
        """Registers a component once; gives the reference to it."""
        component = new_component(name=name, type=kind, schema=schema, object=name)
        self.registry.register_on_missing(component)
        reference: Schema = component.ref
        return reference

    def keep_rules(self, field: Any, schema: Schema) -> None:
        """Adds what the field's validators demand."""
        library: Any = super()
        library._insert_field_validators(field, schema)

    # --- serializers -------------------------------------------------------------------------------

    def _get_serializer_name(self, serializer: Any, direction: Any, bypass_extensions: bool = False) -> str:
        name = self.plain_name(serializer)
        return f"{name}Request" if direction == "request" and not name.endswith("Request") else name

    @staticmethod
    def plain_name(serializer: Any) -> str:
        cls = type(getattr(serializer, "child", serializer))
        own = vars(cls).get("_spectacular_annotation", {})  # not what it inherits: bodies derive from the resource
        return str(own.get("component_name") or cls.__name__.removesuffix("Serializer"))

    def _get_serializer_field_meta(self, field: Any, direction: Any) -> Schema:
        return {}  # `member` adds what docs tell of a member

    def _map_basic_serializer(self, serializer: Any, direction: Any) -> Schema:
        serializer = instance_of(serializer)
        asked = direction == "request"
        shown = {name: field for name, field in serializer.fields.items() if asked or not field.write_only}
        schema: Schema = {"type": "object"}
        if text := self.component_description(serializer):
            schema["description"] = text
        schema["properties"] = {n: self.member(n, field, serializer, direction) for n, field in shown.items()}
        if required := [n for n, field in shown.items() if is_required(n, field, serializer, direction)]:
            schema["required"] = required
        if asked:
            name = self.plain_name(serializer)
            if not name.endswith("Request"):
                schema[REQUEST_OF] = name
            if isinstance(serializer, StrictMixin):
                schema["additionalProperties"] = False
        return schema

    def component_description(self, serializer: Any) -> str:
        if isinstance(serializer, ResourceSerializer) and serializer.mode != "read":
            noun = self.noun_of(serializer)
            return f"A new {noun}." if serializer.mode == "create" else f"The whole {noun}, as it shall be."
        return get_doc(type(serializer))

    def noun_of(self, owner: Any) -> str:
        """What an object of a serializer is called."""
        model = getattr(getattr(owner, "Meta", None), "model", None)
        return spaced(model.__name__ if model else self.plain_name(owner))

    def member(self, name: str, field: Any, owner: Any, direction: Any) -> Schema:
        """One member of an object."""
        if direction == "request" and field.read_only:
            return {"description": "Set by the server; what is sent is ignored."}
        schema = dict(self._map_serializer_field(field, direction))
        if direction == "request":
            self.keep_rules(field, schema)
            if field.allow_null or (not field.required and isinstance(owner, StrictMixin)):
                schema = nullable(schema)
            if field.default not in (None, empty) and not callable(field.default):
                schema["default"] = field.to_representation(field.default)
        if text := str(field.help_text or "") or wording.member_description(name, owner, self.noun_of(owner)):
            schema["description"] = text
        examples = getattr(owner, "examples", {})
        if name in examples:
            schema["examples"] = [examples[name]]
        if name == "name" and direction == "request" and isinstance(owner, ResourceSerializer):
            schema |= forbidden_names(owner)
        return schema

    # --- fields ------------------------------------------------------------------------------------

    def _map_serializer_field(self, field: Any, direction: Any, bypass_extensions: bool = False) -> Schema:
        asked = direction == "request"
        if isinstance(field, UnionField):
            return self.union(field, direction)
        if asked and isinstance(field, ResourceSerializer) and field.mode == "read":
            members = {n: self.member(n, f, field, direction) for n, f in field.fields.items()}
            return {"type": "object", "properties": members, "additionalProperties": False}
        if isinstance(field, ListField):
            items = dict(self._map_serializer_field(field.child, direction))
            if asked:
                self.keep_rules(field.child, items)
            return {"type": "array", "items": items}
        if isinstance(field, EnumField):
            return self.enum([str(value) for value in field.choices])
        if not has_override(field, "field"):
            exact = exact_schema(field) if asked else loose_schema(field)
            if exact is not None:
                return exact
        library: Any = super()
        schema: Schema = library._map_serializer_field(field, direction, bypass_extensions)
        return schema

    def enum(self, values: list[str]) -> Schema:
        """A vocabulary: a component of its own when it has a name."""
        schema: Schema = {"type": "string", "enum": values}
        name = enum_name(tuple(values))
        return self.define(name, schema) if name else schema

    def union(self, field: UnionField, direction: Any) -> Schema:
        """One of several objects, told apart by `type`."""
        suffix = "Request" if direction == "request" else ""
        mapping = {}
        for kind, form in field.forms.items():
            name = f"{field.name}_{camel(str(kind).replace('-', '_'))}"
            schema = self._map_basic_serializer(form, direction)
            mapping[str(kind)] = self.define(name + suffix, schema | ({REQUEST_OF: name} if suffix else {}))["$ref"]
        if len(mapping) == 1:
            return {"$ref": next(iter(mapping.values()))}
        union: Schema = {
            "oneOf": [{"$ref": reference} for reference in mapping.values()],
            "discriminator": {"propertyName": "type", "mapping": mapping},
        }
        return self.define(field.name + suffix, union | ({REQUEST_OF: field.name} if suffix else {}))


def forbidden_names(serializer: ResourceSerializer) -> Schema:
    """The names that an object cannot have: words of addresses and, for a new one, ids."""
    reserved = sorted(getattr(serializer.Meta.model, "reserved_names", ()))
    found: list[Schema] = [{"enum": reserved}] * bool(reserved)
    found += [{"type": "string", "pattern": patterns.whole(patterns.ID)}] * (serializer.mode == "create")
    return {"not": {"anyOf": found}} if found else {}


def is_required(name: str, field: Any, owner: Any, direction: Any) -> bool:
    """Whether an object must have a member, or always shows it."""
    if direction == "request":
        return bool(field.required and not field.read_only)
    if isinstance(owner, ResourceSerializer):
        return name not in (*owner.Meta.optional, *owner.Meta.expanded)
    return bool(field.required or field.read_only)
