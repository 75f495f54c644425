"""Schemas of single values: exact for what is taken, loose for what is shown."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.module_loading import import_string
from drf_spectacular.settings import spectacular_settings
from rest_framework import serializers

from core.durations import DurationField
from core.fields import IdField, InstantField, IntegerField, NameField, StringField
from core.parsing import INT64_MAX, INT64_MIN
from core.schema import patterns

Schema = dict[str, Any]


def exact_schema(field: Any) -> Schema | None:  # noqa: PLR0911 - one line a kind
    """What a field takes, for those that say it in code and not in validators."""
    text: Schema = {"type": "string"} | ({} if getattr(field, "allow_blank", True) else {"minLength": 1})
    match field:
        case IdField():
            return {"type": "string", "format": "uuid", "pattern": patterns.whole(patterns.ID)}
        case NameField():
            return {**text, "pattern": patterns.whole(patterns.NAME)}
        case DurationField():
            pattern = patterns.whole(patterns.DURATION_OR_DAYS if field.days else patterns.DURATION)
            return {**text, "format": "go-duration", "pattern": pattern}
        case StringField():
            return text
        case InstantField():
            return {"type": "string", "format": "date-time"}
        case IntegerField():
            return {
                "type": "integer",
                "format": "int64",
                "minimum": INT64_MIN if field.min_value is None else field.min_value,
                "maximum": INT64_MAX if field.max_value is None else field.max_value,
            }
    return None


def loose_schema(field: Any) -> Schema | None:
    """What a field shows: the type, without the rules of what may be written."""
    match field:
        case IdField():
            return {"type": "string", "format": "uuid"}
        case InstantField():
            return {"type": "string", "format": "date-time"}
        case serializers.CharField():
            return {"type": "string"}
        case IntegerField():
            return {"type": "integer", "format": "int64"}
    return None


def nullable(schema: Schema) -> Schema:
    """A schema that also takes null."""
    if "$ref" in schema:
        return {"oneOf": [schema, {"type": "null"}]}
    if isinstance(schema.get("type"), str):
        values = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, **values, "type": [schema["type"], "null"]}
    return schema


def enum_name(values: tuple[str, ...]) -> str:
    """The name of a vocabulary: of the setting or the `TextChoices` that has these values, in this order."""
    for name, given in spectacular_settings.ENUM_NAME_OVERRIDES.items():
        choices = import_string(given) if isinstance(given, str) else given
        if values == tuple(getattr(choices, "values", choices)):
            return str(name)
    named = {c.__name__ for c in _choices() if tuple(map(str, c.values)) == values}
    return min(named) if len(named) == 1 else ""


def _choices(base: type[models.TextChoices] = models.TextChoices) -> list[type[models.TextChoices]]:
    ours = [c for c in base.__subclasses__() if c.__module__.partition(".")[0] in settings.APPS]
    return ours + [deeper for c in ours for deeper in _choices(c)]
