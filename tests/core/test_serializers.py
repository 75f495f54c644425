"""Serializers over bodies: copied from the class's own, and as good as new ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework import serializers

from core.serializers import ResourceSerializer, in_mode, over
from tests.contract.faces import faces

CLASSES = dict.fromkeys(
    in_mode(face.viewset.serializer_class, mode)
    for face in faces()
    for mode in ("create", "update")
    if face.find(mode) is not None
)


def below(field: Any) -> Iterator[Any]:
    """A field's own and those of its parts, in order."""
    parts = [*getattr(field, "fields", {}).values(), *([field.child] if hasattr(field, "child") else [])]
    for part in parts:
        yield part
        yield from below(part)


def told(field: Any) -> dict[str, Any]:
    """What a field knows but for where it is."""
    apart = ("parent", "child", "fields", "_creation_counter", "_context", "_args", "_kwargs", "context", "root")
    return {
        name: re.sub(" at 0x[0-9a-f]+", "", repr(value)) for name, value in vars(field).items() if name not in apart
    }


@pytest.mark.parametrize("serializer_class", CLASSES, ids=lambda each: each.__name__)
def test_over__any_body__is_as_a_new_serializer(serializer_class: type[ResourceSerializer]) -> None:
    body, context = {"name": "north"}, {"view": object()}
    copied, made = over(body, serializer_class, context), serializer_class(data=body, context=context)
    assert (copied.initial_data, copied.context, copied.instance) == (body, context, None)
    assert list(copied.fields) == list(made.fields)
    for mine, new in zip(below(copied), below(made), strict=True):
        assert type(mine) is type(new)
        assert (mine.root, mine.context, mine.field_name) == (copied, context, new.field_name)
        assert {name: value for name, value in told(mine).items() if name in told(new)} == told(new)


@pytest.mark.parametrize("serializer_class", CLASSES, ids=lambda each: each.__name__)
def test_over__two_bodies__share_no_field(serializer_class: type[ResourceSerializer]) -> None:
    one, other = over({}, serializer_class, {}), over({}, serializer_class, {})
    assert not {id(field) for field in below(one)} & {id(field) for field in below(other)}


def test_fields__of_resources__are_made_in_one_place() -> None:
    """`get_fields` would be asked once for the class, whatever it looks at."""
    derived, found = [ResourceSerializer], []
    while derived:
        each = derived.pop()
        derived += each.__subclasses__()
        found += [each.__qualname__] if "get_fields" in vars(each) else []
    assert found == [ResourceSerializer.__qualname__]
    assert issubclass(ResourceSerializer, serializers.ModelSerializer)
