"""Custom providers on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from catalog.customs.definitions import read_definition
from catalog.customs.models import LONGEST, Custom
from catalog.customs.services import change_definition, refuse_too_many
from core.documents import DocumentError
from core.fields import StringField
from core.serializers import ResourceSerializer


class CustomSerializer(ResourceSerializer):
    """A provider that your organization has defined."""

    data = StringField(  # type: ignore[assignment]  # the wire's name is also DRF's
        max_length=LONGEST,
        help_text="The definition: a YAML document, of which a JSON object is one, that follows the schema at "
        "`/v1/customs/schema`.",
    )

    class Meta(ResourceSerializer.Meta):
        model = Custom
        fields = ("name", "created_at", "updated_at", "id", "fullname", "organization_id", "data")
        read_only = ("id", "organization_id", "created_at", "updated_at")

    definition: dict[str, Any]

    def validate_data(self, data: str) -> str:
        try:
            self.definition, errors = read_definition(data)
        except DocumentError as error:
            raise ValidationError(str(error)) from error
        if errors:
            raise ValidationError([f"{error.pointer or 'the document'} {error.message}" for error in errors])
        return data

    def create(self, validated_data: dict[str, Any]) -> Custom:
        refuse_too_many()
        custom: Custom = super().create(validated_data | {"definition": self.definition})
        return custom

    def update(self, instance: Custom, validated_data: dict[str, Any]) -> Custom:
        change_definition(custom=instance, definition=self.definition)
        custom: Custom = super().update(instance, validated_data)
        return custom


class CreateCustomResponseResultSerializer(serializers.Serializer[Any]):
    """The new custom provider."""

    custom = CustomSerializer(help_text="The custom provider.")


class CreateCustomResponseSerializer(serializers.Serializer[Any]):
    """The new custom provider."""

    result = CreateCustomResponseResultSerializer(help_text="What was made.")
