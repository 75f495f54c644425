"""No resource stands outside the contract."""

from __future__ import annotations

import pytest

from core.permissions import Grant, Principal
from core.serializers import in_mode
from tests.api import Api
from tests.contract.examples import EXAMPLES
from tests.contract.faces import Face, Operation, faces, operations
from tests.contract.made import example_of, make


def test_examples__every_resource__has_one_and_no_other() -> None:
    assert sorted(EXAMPLES) == sorted(face.name for face in faces())


@pytest.mark.parametrize("operation", operations(), ids=str)
def test_operation__any__names_its_resource_and_verb(operation: Operation) -> None:
    assert operation.resource
    assert operation.verb
    principal = Principal("", "x", [(Grant({}),)])
    assert not principal.allows(operation.resource, operation.verb)


@pytest.mark.parametrize("face", faces(), ids=str)
def test_example__made__is_read_back_as_it_was_shown(face: Face, acme: Api) -> None:
    made = make(face, acme)
    if not face.has("get"):
        assert made.id
        return
    shown = made.read(acme)
    assert {name: shown.get(name) for name in made.shown if name != "primary"} == {
        name: value for name, value in made.shown.items() if name != "primary"
    }


@pytest.mark.parametrize("face", [f for f in faces() if f.has("create")], ids=str)
def test_example__body__names_every_reference_it_takes(face: Face, acme: Api) -> None:
    """A member that ends in `_id` names another object: the example must say which, so that it is tested."""
    example = example_of(face, acme)
    fields = in_mode(face.viewset.serializer_class, "create")().fields
    named = [n for n, f in fields.items() if n.endswith("_id") and not f.read_only and n in example.body]
    assert [name for name in named if f"/{name}" not in example.references] == []
