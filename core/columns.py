"""Column types that hold, order and read the same on SQLite and PostgreSQL."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, TypeVar

import orjson
import uuid_utils
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from core.instants import format_instant

S = TypeVar("S", contravariant=True)  # what may be set; with G, what is got, either with None for a nullable column
G = TypeVar("G", covariant=True)
ID_PATTERN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_LONGEST_IDENTIFIER = 255


def new_id() -> str:
    """A UUIDv7 as text: sorted by time of creation."""
    return str(uuid_utils.uuid7())


def is_id(value: object) -> bool:
    """Whether a value has the one spelling of an id that the API uses (36 characters, lower case)."""
    return isinstance(value, str) and ID_PATTERN.match(value) is not None


def fold(name: str) -> str:
    """A name as it is stored: names are compared without case."""
    return name.lower()


def addressed(identifier: str) -> dict[str, str] | None:
    """The one column, with its value, that an id or a name finds an object by; None for what can be neither."""
    folded = fold(identifier)
    if len(folded) > _LONGEST_IDENTIFIER or "\x00" in folded:
        return None
    return {"id" if is_id(folded) else "name": folded}


class TextColumn(models.CharField[S, G]):
    """Short text compared and ordered by code point on both databases."""

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if type(value) is str else super().get_db_prep_value(value, connection, prepared)

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class IdColumn(models.Field[S, G]):
    """A UUID whose Python value is its text: `uuid` on PostgreSQL, 36 characters on SQLite."""

    _pyi_private_set_type: str
    _pyi_private_get_type: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def get_internal_type(self) -> str:
        return "UUIDField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "uuid" if connection.vendor == "postgresql" else "char(36)"

    def from_db_value(self, value: Any, *_: Any) -> str | None:
        return None if value is None else str(value)

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return None if value is None else str(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if prepared or type(value) is str else self.get_prep_value(value)

    def to_python(self, value: Any) -> str | None:
        return None if value is None else str(value)


class InstantColumn(models.DateTimeField[S, G]):
    """A point in time, in UTC to the microsecond. SQLite keeps the wire's own text, which also sorts."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "timestamp with time zone" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, *_: Any) -> dt.datetime | None:
        return dt.datetime.fromisoformat(value) if isinstance(value, str) else value

    def get_db_converters(self, connection: BaseDatabaseWrapper) -> Any:
        return [self.from_db_value]

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        is_ready = prepared or (type(value) is dt.datetime and value.tzinfo is dt.UTC)
        value = value if is_ready else self.get_prep_value(value)
        if value is None or connection.vendor == "postgresql":
            return value
        return value if isinstance(value, str) else format_instant(value)


class JsonColumn(models.TextField[S, G]):
    """A JSON value kept as the bytes it was written with: the same on both databases, never queried into."""

    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def from_db_value(self, value: str | None, *_: Any) -> Any:
        return None if value is None else orjson.loads(value)

    def get_prep_value(self, value: Any) -> Any:
        return None if value is None or hasattr(value, "resolve_expression") else orjson.dumps(value).decode()

    def to_python(self, value: Any) -> Any:
        return value


def wire_value(column: models.Field[Any, Any], value: Any) -> Any:
    """A column's Python value as reading it through the plan gives it: instants and JSON as text."""
    if value is None:
        return None
    if isinstance(column, InstantColumn):
        return format_instant(value)
    return orjson.dumps(value).decode() if isinstance(column, JsonColumn) else value


def column_at(model: type[models.Model], path: str) -> models.Field[Any, Any]:
    """The concrete column at a path such as `account__name`; a foreign key's column is its target's."""
    *steps, last = path.split("__")
    for step in steps:
        model = model._meta.get_field(step).related_model  # type: ignore[assignment]
    field: Any = model._meta.get_field(last)
    column: models.Field[Any, Any] = field.target_field if field.is_relation else field
    return column


def wire_value_at(instance: models.Model, path: str) -> Any:
    """The value at a path from an instance in memory, as the plan would read it."""
    value: Any = instance
    for step in path.split("__"):
        value = getattr(value, step)
    return wire_value(column_at(type(instance), path), value)
