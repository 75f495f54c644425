"""Mappings on the wire."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from catalog.mappings.models import LONGEST, Mapping
from catalog.mappings.services import Document, keep_version, read_document
from core.documents import DocumentError
from core.errors import ConflictError
from core.fields import InstantField, IntegerField, JsonObjectField, ListField, StringField
from core.serializers import ResourceSerializer, StrictSerializer

BASE: tuple[str, ...] = ("name", "created_at", "updated_at", "id", "fullname", "organization_id")
LONGEST_CHAIN = 20


class MappingSerializer(ResourceSerializer):
    """A document of JSONata expressions that turns one object into another."""

    data = StringField(  # type: ignore[assignment]  # the wire's name is also DRF's
        max_length=LONGEST,
        help_text="The mapping: a YAML document, of which a JSON object is one. It is the output, with every text in "
        "it replaced by the value of that JSONata expression.",
    )

    class Meta(ResourceSerializer.Meta):
        model = Mapping
        fields: ClassVar[tuple[str, ...]] = (*BASE, "data")
        read_only = ("id", "organization_id", "created_at", "updated_at")

    document: Document

    def validate_data(self, data: str) -> str:
        checked: Document | None = self.context["view"].checked
        if checked is not None and checked.text != data:
            raise ConflictError("the mapping was changed at the same moment")
        try:
            self.document = checked or read_document(text=data)
        except DocumentError as error:
            raise ValidationError(str(error)) from error
        if self.document.errors:
            raise ValidationError(self.document.errors)
        return data

    def create(self, validated_data: dict[str, Any]) -> Mapping:
        mapping: Mapping = super().create(validated_data)
        keep_version(mapping=mapping, template=self.document.template)
        return mapping

    def update(self, instance: Mapping, validated_data: dict[str, Any]) -> Mapping:
        instance.version += 1
        mapping: Mapping = super().update(instance, validated_data)
        keep_version(mapping=mapping, template=self.document.template)
        return mapping


class MappingBaseSerializer(ResourceSerializer):
    """A mapping without its document, as lists show it."""

    class Meta(MappingSerializer.Meta):
        fields = BASE


class MappingVersionSerializer(serializers.Serializer[Any]):
    """One save of a mapping."""

    version = IntegerField(help_text="Its number, from 1.")
    created_at = InstantField(help_text="When it was saved.")


class ApplyMappingRequestBodySerializer(StrictSerializer):
    """Mappings to apply one after the other, and the first one's input."""

    mappings = ListField(
        child=StringField(max_length=160),
        min_length=1,
        max_length=LONGEST_CHAIN,
        help_text="Mappings by id or name, `name:version` included. Each one's output is the next one's input.",
    )
    data = JsonObjectField(help_text="The input.")  # type: ignore[assignment]  # the wire's name is also DRF's


class ApplyMappingResponseResultSerializer(serializers.Serializer[Any]):
    """What a chain of mappings made of the input."""

    mapping = JsonObjectField(help_text="The output.")


class ApplyMappingResponseSerializer(serializers.Serializer[Any]):
    """What a chain of mappings made of the input."""

    result = ApplyMappingResponseResultSerializer(help_text="The outcome.")


class CreateMappingResponseResultSerializer(serializers.Serializer[Any]):
    """The new mapping."""

    mapping = MappingSerializer(help_text="The mapping.")


class CreateMappingResponseSerializer(serializers.Serializer[Any]):
    """The new mapping."""

    result = CreateMappingResponseResultSerializer(help_text="What was made.")
