"""Unions: objects of several shapes, told apart by their `type`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.serializers import StrictSerializer

Forms = Mapping[str, type[StrictSerializer]]


class UnionField(serializers.Field[Any, Any, Any, Any]):
    """One of several objects. `forms` maps each `type` to its shape, `name` names the union in the schema."""

    default_error_messages = {"invalid": "must be an object", "type": "must be one of {allowed}"}

    def __init__(self, *, name: str, forms: Forms, secret: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name, self.forms, self.secret = name, forms, secret

    @property
    def types(self) -> tuple[str, ...]:
        """What `type` may say."""
        return tuple(self.forms)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        form = self.forms.get(data["type"]) if isinstance(data.get("type"), str) else None
        if form is None:
            message = self.error_messages["type"].format(allowed=", ".join(self.forms))
            raise ValidationError({"type": [message]})
        serializer = form(data=data, context=self.context)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def to_representation(self, value: Any) -> Any:
        return value
