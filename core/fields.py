"""Serializer fields that coerce nothing: a value of another JSON type is an error, not a guess."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.core.validators import URLValidator
from django.db import models
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.columns import is_id, wire_value_at
from core.instants import format_instant, read_instant
from core.parsing import json_pointer

NAME_PATTERN = r"~?[a-z0-9_-]{1,128}"
NO_INSTANT = dt.datetime(1, 1, 1, tzinfo=dt.UTC)  # the Go client's way to send no time


class StringField(serializers.CharField):
    """Text, exactly as sent."""

    default_error_messages = {"invalid": "must be a string"}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("trim_whitespace", False)
        kwargs.setdefault("max_length", 255)
        super().__init__(**kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data == "" and not self.allow_blank:
            self.fail("blank")
        return serializers.Field.run_validation(self, data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(data)


class SecretField(StringField):
    """Text that no answer, problem or log repeats."""

    secret = True


class NameField(StringField):
    """A resource's short name."""

    default_error_messages = {
        "pattern": "must be 1 to 128 of a-z, 0-9, _ and -, with an optional ~ before them",
        "uuid": "must not look like an id",
        "reserved": "is a word that the API's addresses use",
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 129)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if re.fullmatch(NAME_PATTERN, name) is None:
            self.fail("pattern")
        return name


class NewNameField(NameField):
    """The name of an object about to be made: neither like an id nor one of the addresses' own words."""

    def __init__(self, *, reserved: frozenset[str] = frozenset(), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reserved = reserved

    def to_internal_value(self, data: Any) -> str:
        name = super().to_internal_value(data)
        if is_id(name):
            self.fail("uuid")
        if name in self.reserved:
            self.fail("reserved")
        return name


class IdField(StringField):
    """The id of an object (UUIDv7)."""

    default_error_messages = {"id": "must be an id: a UUID in lower case with hyphens"}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 36)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not is_id(value):
            self.fail("id")
        return value


@extend_schema_field({"type": "string", "format": "uri", "maxLength": 2048})
class UrlField(StringField):
    """An http or https address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2048, **kwargs)
        self.validators.append(URLValidator(["http", "https"], message="must be an http or https address"))


class InstantField(serializers.DateTimeField):
    """A point in time: RFC 3339 with an offset; kept in UTC to the microsecond."""

    default_error_messages = {
        "invalid": "must be a time in RFC 3339 with an offset, such as 2026-01-31T12:00:00.000000Z"
    }

    def to_internal_value(self, value: Any) -> dt.datetime:
        moment = read_instant(value) if isinstance(value, str) else None
        if moment is None:
            self.fail("invalid")
        return moment

    def to_representation(self, value: Any) -> Any:
        return format_instant(value) if isinstance(value, dt.datetime) else value


class IntegerField(serializers.IntegerField):
    """A whole number. `"12"` and `true` are not numbers; `12.0` is 12, as in JSON Schema."""

    default_error_messages = {"invalid": "must be a whole number"}

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != int(data):
            self.fail("invalid")
        return int(data)


class BooleanField(serializers.BooleanField):
    """`true` or `false`, nothing else."""

    default_error_messages = {"invalid": "must be true or false"}

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return bool(data)


class EnumField(serializers.ChoiceField):
    """One of a fixed list of strings."""

    default_error_messages = {"invalid_choice": "must be one of {allowed}"}

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        super().__init__(choices=getattr(choices, "choices", None) or [(c, c) for c in choices], **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", allowed=", ".join(map(str, self.choices)))
        return str(data)


class ListField(serializers.ListField):
    """An array. Empty ones are fine unless said otherwise; at most `max_length` members."""

    default_error_messages = {"not_a_list": "must be an array"}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 100)
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> list[Any]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)  # before the members, whose errors take seconds
        return list(super().to_internal_value(data))


@extend_schema_field({"type": "object", "additionalProperties": {}})
class JsonObjectField(serializers.Field[Any, Any, Any, Any]):
    """Any JSON object, kept as it is."""

    default_error_messages = {"invalid": "must be an object"}

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value


class ComputedField(serializers.Field[Any, Any, Any, Any]):
    """A read-only member made from columns. Subclasses name the columns and say how."""

    columns: ClassVar[Sequence[str]] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, source="*", **kwargs)

    def encode(self, *values: Any) -> Any:
        """From the columns' values as the database gives them."""
        raise NotImplementedError

    def to_representation(self, instance: models.Model) -> Any:
        return self.encode(*(wire_value_at(instance, path) for path in self.columns))


_MESSAGES = {"required": "is required", "null": "must not be null", "blank": "must not be empty"}


def pointer_errors(detail: Any, prefix: str = "") -> list[tuple[str, str]]:
    """DRF's nested error detail as (JSON Pointer, message), in order."""
    if isinstance(detail, Mapping):
        found = []
        for key, value in detail.items():
            step = "" if key == "non_field_errors" else json_pointer([key])
            found += pointer_errors(value, prefix + step)
        return found
    if isinstance(detail, list) and any(isinstance(item, Mapping | list) for item in detail):
        return [e for i, item in enumerate(detail) for e in pointer_errors(item, f"{prefix}/{i}")]
    messages = detail if isinstance(detail, list) else [detail]
    return [(prefix, _MESSAGES.get(getattr(each, "code", ""), str(each))) for each in messages]
