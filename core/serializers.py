"""Serializers: one declaration gives a resource's representation and its create and update bodies."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from django.db import models
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.utils.serializer_helpers import BindingDict

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn, is_id, new_id
from core.errors import ABSENT, InvalidError, Parameter, StaleError
from core.fields import (
    NO_INSTANT,
    BooleanField,
    EnumField,
    IdField,
    InstantField,
    IntegerField,
    JsonObjectField,
    NameField,
    StringField,
    pointer_errors,
)
from core.models import Resource
from core.names import assign_name
from core.parsing import pointer_steps
from core.plan import plan_of

Mode = Literal["read", "create", "update"]
SHARED_FIELDS = ("id", "name", "fullname", "created_at", "updated_at")


class StrictMixin:
    """Refuses members it does not know; a null for what may be left out is the same as leaving it out."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValidationError({"non_field_errors": ["must be an object"]})
        fields: Mapping[str, Any] = self.fields  # type: ignore[attr-defined]
        unknown = [key for key in data if key not in fields]
        if unknown:
            known = ", ".join(fields)
            raise ValidationError({key: [f"is not a member of this object; it has {known}"] for key in unknown[:20]})
        given = {k: v for k, v in data.items() if v is not None or fields[k].required}
        return super().to_internal_value(given)  # type: ignore[misc]

    def run_validators(self, value: Any) -> None:
        """DRF's own makes a copy of the value for them, also where there are none."""
        if self.validators:  # type: ignore[attr-defined]
            super().run_validators(value)  # type: ignore[misc]


class StrictSerializer(StrictMixin, serializers.Serializer[Any]):
    """An object of the wire that is no resource: a request's part, a nested value."""


class ResourceSerializer(StrictMixin, serializers.ModelSerializer[Any]):
    """A resource on the wire.

    `Meta.fields` is the representation in the contract's order. Of these, `Meta.read_only` are set by the
    server, `Meta.fixed` can be set at creation only, `Meta.update_only` only later, `Meta.optional` may be absent,
    `Meta.kept` are always shown and stay as they are when an update leaves them out. `Meta.create_only` are members
    of the create body alone, `Meta.expanded` are filled by `expand`.
    """

    mode: ClassVar[Mode] = "read"
    serializer_field_mapping: ClassVar[
        dict[type[models.Field[Any, Any]], type[serializers.Field[Any, Any, Any, Any]]]
    ] = {
        TextColumn: StringField,
        IdColumn: IdField,
        InstantColumn: InstantField,
        JsonColumn: JsonObjectField,
        models.BooleanField: BooleanField,
        models.IntegerField: IntegerField,
    }

    class Meta:
        model: ClassVar[type[models.Model]]
        fields: ClassVar[tuple[str, ...]] = ()
        read_only: ClassVar[tuple[str, ...]] = ("id", "created_at", "updated_at")
        fixed: ClassVar[tuple[str, ...]] = ()
        optional: ClassVar[tuple[str, ...]] = ()
        kept: ClassVar[tuple[str, ...]] = ()
        create_only: ClassVar[tuple[str, ...]] = ()
        update_only: ClassVar[tuple[str, ...]] = ()
        expanded: ClassVar[tuple[str, ...]] = ()
        validators: ClassVar[tuple[Any, ...]] = ()  # DRF would look for some on every use; core.names checks names

    def build_standard_field(self, field_name: str, model_field: Any) -> Any:
        field_class, kwargs = super().build_standard_field(field_name, model_field)
        keep = {"required", "max_length", "allow_null", "help_text"}
        kwargs = {k: v for k, v in kwargs.items() if k in keep and not (k == "max_length" and not v)}
        if field_name == "name":
            return NameField, {}
        if model_field.choices:
            return EnumField, {"choices": [value for value, _ in model_field.choices]}
        return field_class, kwargs

    def build_relational_field(self, field_name: str, relation_info: Any) -> Any:
        return IdField, {}

    def build_property_field(self, field_name: str, model_class: type[models.Model]) -> Any:
        return IdField, {}  # the `<relation>_id` attribute of a foreign key

    def get_fields(self) -> dict[str, Any]:
        """Copies of the class's fields."""
        return {name: _copy_field(field) for name, field in _fields_of(type(self)).items()}

    def build_fields(self) -> dict[str, Any]:
        """The fields of this class and mode, made from the model."""
        meta, mode = self.Meta, self.mode
        fields: dict[str, Any] = super().get_fields()
        if mode != "create":
            for name in meta.create_only:
                fields.pop(name, None)
        if mode == "create":
            fields = {n: f for n, f in fields.items() if n not in (*meta.read_only, *meta.update_only, *meta.expanded)}
            for name in ("name", "fullname"):
                fields[name].required = False
        for name, field in fields.items():
            field.expanded = name in meta.expanded
            if mode != "create" and not field.read_only:
                field.required, field.default = name not in (*meta.optional, *meta.kept), serializers.empty
            if mode == "read":
                field.read_only = True
                field.required = False
        return fields

    # --- writing ---------------------------------------------------------------------------------

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if self.mode != "read":
            return super().run_validation(data)
        is_settled, value = self.validate_empty_values(data)  # an expanded member that is sent back, to be ignored
        return value if is_settled else self.to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            return attrs
        self._refuse_changes(attrs)
        keep = {*self.Meta.read_only, *self.Meta.fixed, *self.Meta.expanded}
        return {name: value for name, value in attrs.items() if name not in keep}

    def _refuse_changes(self, attrs: dict[str, Any]) -> None:
        """The optimistic lock, and read-only members that differ from what is stored."""
        instance: Any = self.instance
        lock = attrs.get("updated_at", NO_INSTANT)
        if lock not in (NO_INSTANT, instance.updated_at):
            raise StaleError(
                "the object has changed since it was read",
                detail="`updated_at` in the body is not the one that is stored.",
                at=Parameter("body", "/updated_at", self.initial_data.get("updated_at")),
            )
        stored = plan_of(read_class(type(self))).document(instance)
        wrong = {}
        for name in (*self.Meta.read_only, *self.Meta.fixed):
            field, sent = self.fields[name], self.initial_data.get(name)
            if name == "updated_at" or sent is None:
                continue
            if name in attrs:  # not so for what is computed: DRF does not read it
                sent = field.to_representation(attrs[name])
            if sent != stored.get(name):
                wrong[name] = ["cannot be changed: send the value that is stored"]
        if wrong:
            raise ValidationError(wrong)

    def validate_name(self, value: str) -> str:
        reserved = self.Meta.model.reserved_names  # type: ignore[attr-defined]
        if is_id(value) and (self.instance is None or self.instance.id != value):
            self.fields["name"].fail("uuid")
        if value in reserved and (self.instance is None or self.instance.name != value):
            self.fields["name"].fail("reserved")
        return value

    def create(self, validated_data: dict[str, Any]) -> Any:
        name, fullname = validated_data.pop("name", None), validated_data.pop("fullname", None)
        instance: Resource = self.Meta.model(id=new_id(), **validated_data)  # type: ignore[assignment]
        assign_name(instance, name=name, fullname=fullname)
        instance.save(force_insert=True)
        return instance

    def update(self, instance: Any, validated_data: dict[str, Any]) -> Any:
        for name in self.Meta.optional:
            if name in self.fields and name not in self.Meta.expanded and name not in self.Meta.read_only:
                column = instance._meta.get_field(self.fields[name].source)
                validated_data.setdefault(name, column.get_default())
        for name, value in validated_data.items():
            setattr(instance, name, value)
        instance.touch()
        instance.save()
        return instance


@functools.cache
def _fields_of(serializer_class: type[ResourceSerializer]) -> dict[str, Any]:
    """Built once a class: asking the model for them takes longer than the rest of a create."""
    return serializer_class().build_fields()


def _copy_field(field: Any) -> Any:
    """A field to bind to one serializer: what `copy.copy` gives, at a quarter of its cost."""
    copied = object.__new__(type(field))
    copied.__dict__.update(field.__dict__)
    if hasattr(field, "child"):
        copied.child = _copy_field(field.child)
        copied.child.parent = copied
    return copied


@functools.cache
def _made_once(serializer_class: type[ResourceSerializer]) -> ResourceSerializer:
    serializer = serializer_class()
    dict(serializer.fields)  # binds them
    return serializer


def over(
    body: Any, serializer_class: type[ResourceSerializer], context: dict[str, Any], instance: Any = None
) -> ResourceSerializer:
    """A serializer over a body: what making one gives, with its fields bound, at a fifth of the cost."""
    pattern = _made_once(serializer_class)
    made: ResourceSerializer = _copy_field(pattern)
    made.instance, made.initial_data, made._context = instance, body, context
    made.fields = BindingDict(made)
    for name, field in pattern.fields.items():
        made.fields.fields[name] = copied = _copy_field(field)
        copied.parent = made
    return made


@functools.cache
def in_mode(serializer_class: type[ResourceSerializer], mode: Mode) -> type[ResourceSerializer]:
    """The create or update body of a resource's serializer, named as the contract names it."""
    if mode == "read":
        return serializer_class
    name = f"{mode.capitalize()}{serializer_class.__name__.removesuffix('Serializer')}RequestSerializer"
    return type(name, (serializer_class,), {"mode": mode, "read_class": serializer_class, "__doc__": None})


def read_class(serializer_class: type[ResourceSerializer]) -> type[ResourceSerializer]:
    """The serializer of the representation that a create or update body belongs to."""
    declared: type[ResourceSerializer] = getattr(serializer_class, "read_class", serializer_class)
    return declared


def read_only_names(serializer_class: type[ResourceSerializer]) -> tuple[str, ...]:
    """The members that a patch cannot target."""
    meta = serializer_class.Meta
    return (*meta.read_only, *meta.fixed, *meta.expanded)


def validated(serializer: Any) -> Any:
    """Validates a serializer's data, or raises one problem that names every place that is wrong."""
    try:
        serializer.is_valid(raise_exception=True)
    except ValidationError as error:
        raise invalid_body(error, serializer) from error
    return serializer


def invalid_body(error: ValidationError, serializer: Any) -> InvalidError:
    """A validation error as a problem. Values are shown unless a secret field holds them."""
    found = pointer_errors(error.detail)
    causes = [
        InvalidError(f"{pointer or 'the body'}: {message}", at=Parameter("body", pointer, _shown(serializer, pointer)))
        for pointer, message in found
    ]
    if len(causes) == 1:
        return causes[0]
    return InvalidError(f"{len(causes)} members of the body are wrong", at=causes[0].at, causes=causes)


def _shown(serializer: Any, pointer: str) -> Any:
    """The value at a pointer, when it is short and no field on the way to it is `secret`."""
    field, value = serializer, serializer.initial_data
    if not pointer:
        return ABSENT  # all of it, secrets included
    for step in pointer_steps(pointer):
        if isinstance(value, list) and step.isdigit() and int(step) < len(value):
            field, value = getattr(field, "child", None), value[int(step)]
        elif isinstance(value, Mapping) and step in value:
            field, value = getattr(field, "fields", {}).get(step), value[step]
        else:
            return ABSENT
        if field is None or getattr(field, "secret", False):
            return ABSENT
    return value if isinstance(value, bool | int | float) or (isinstance(value, str) and len(value) <= 200) else ABSENT
