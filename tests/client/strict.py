"""Answers held against the published client's own models, without the client's lenience.

The client takes anything: it constructs its models unvalidated, keeps unknown members and turns unknown
vocabulary into `_UNKNOWN`. Here the JSON as it came over the wire must be exactly what a model says:
every required member there, none unknown, none null, every value of its type.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

import pydantic
import typing_extensions

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
_SCALARS = (str, int, float, bool)


def refuse_different(value: Any, expected: Any) -> None:
    """Raises unless a JSON value is exactly of a type of the client."""
    found = list(differences(value, expected, ""))
    assert not found, f"the answer is no {getattr(expected, '__name__', expected)}: " + "; ".join(found[:20])
    pydantic.TypeAdapter(expected).validate_python(value)


def differences(value: Any, expected: Any, at: str) -> Iterator[str]:
    """Every place where a JSON value is not what a type says, as JSON Pointers with a reason."""
    expected, discriminant = _plain(expected)
    if expected is Any or expected is object:
        return
    origin = typing.get_origin(expected)
    if value is None:
        yield f"{at} is null, where it should be absent"
    elif origin in (typing.Union, types.UnionType):
        yield from _of_union(value, typing.get_args(expected), discriminant, at)
    elif origin is typing.Literal:
        if value not in typing.get_args(expected):
            yield f"{at} is {value!r}, not one of {typing.get_args(expected)}"
    elif origin in (list, typing.Sequence):
        yield from _of_list(value, typing.get_args(expected)[0], at)
    elif origin is dict:
        yield from _of_dict(value, typing.get_args(expected)[1], at)
    elif issubclass(expected, pydantic.BaseModel):
        yield from _of_model(value, expected, at)
    else:
        yield from _of_scalar(value, expected, at)


def _plain(expected: Any) -> tuple[Any, str]:
    """A type without its annotations, and the member that tells the shapes of a union apart."""
    discriminant = ""
    while typing.get_origin(expected) is typing_extensions.Annotated:
        expected, *notes = typing.get_args(expected)
        discriminant = next((n.discriminant for n in notes if hasattr(n, "discriminant")), discriminant)
    return expected, discriminant


def _of_union(value: Any, shapes: tuple[Any, ...], discriminant: str, at: str) -> Iterator[str]:
    present = [shape for shape in shapes if shape is not types.NoneType]
    if len(present) == 1:
        yield from differences(value, present[0], at)
        return
    if discriminant:
        if not isinstance(value, dict):
            yield f"{at} is no object"
            return
        present = [shape for shape in present if value.get(discriminant) in _kinds(shape, discriminant)]
        if len(present) == 1:
            yield from differences(value, present[0], at)
            return
    if not any(not list(differences(value, shape, at)) for shape in present):
        yield f"{at} is none of the shapes of a union"


def _kinds(shape: Any, discriminant: str) -> tuple[Any, ...]:
    return typing.get_args(_members(shape)[discriminant][0])


def _of_list(value: Any, item: Any, at: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{at} is no array"
        return
    for index, each in enumerate(value):
        yield from differences(each, item, f"{at}/{index}")


def _of_dict(value: Any, item: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    for name, each in value.items():
        yield from differences(each, item, f"{at}/{name}")


def _of_model(value: Any, model: type[pydantic.BaseModel], at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    members = _members(model)
    for name in value.keys() - members.keys():
        yield f"{at}/{name} is no member of {model.__name__}"
    for name, (expected, required) in members.items():
        if name in value:
            yield from differences(value[name], expected, f"{at}/{name}")
        elif required:
            yield f"{at}/{name} is absent, and {model.__name__} needs it"


def _of_scalar(value: Any, expected: Any, at: str) -> Iterator[str]:
    if issubclass(expected, enum.Enum):
        # Looking a value up would make an unknown one a member: `_missing_` of the client's vocabularies does.
        known = [member.value for name, member in expected.__members__.items() if name != "_UNKNOWN"]
        if value not in known:
            yield f"{at} is {value!r}, not one of {known}"
    elif issubclass(expected, dt.datetime):
        if not isinstance(value, str) or _INSTANT.match(value) is None:
            yield f"{at} is {value!r}, no time in UTC to the microsecond"
    elif expected in _SCALARS:
        if type(value) is not expected and not (expected is float and type(value) is int):
            yield f"{at} is {value!r}, no {expected.__name__}"
    else:
        raise TypeError(f"{at}: nothing is known of the type {expected}")


@functools.cache
def _members(model: type[pydantic.BaseModel]) -> dict[str, tuple[Any, bool]]:
    """A model's members as the wire names them: their type, and whether they must be there."""
    model.model_rebuild()
    types_ = typing_extensions.get_type_hints(model, include_extras=True)
    members = {}
    for name, field in model.model_fields.items():
        expected = types_[name]
        required = field.is_required() or name == "type"  # a union's `type` has a default for its author's ease
        members[_alias(expected) or field.alias or name] = (expected, required)
    return members


def _alias(expected: Any) -> str:
    """The wire's name of a member that the client calls otherwise."""
    notes = typing.get_args(expected)[1:] if typing.get_origin(expected) is typing_extensions.Annotated else ()
    return next((str(note.alias) for note in notes if getattr(note, "alias", None)), "")
