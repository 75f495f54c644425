"""Objects made from the examples, and where they are found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from core.columns import new_id
from tests.api import Api
from tests.contract.examples import EXAMPLES, HERE, Example, Place
from tests.contract.faces import Face, Operation


@dataclasses.dataclass(frozen=True)
class Made:
    """One object of a resource, as it was shown when it was made."""

    face: Face
    example: Example
    shown: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.shown["id"])

    def values(
        self, operation: Operation, identifier: str | None = None, also: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """What fills the operation's address, with this object's id or another identifier of it."""
        own = {self.face.viewset.lookup_url_kwarg: identifier or self.id}
        filled = dict(also or {}) | self.shown | own | dict(self.example.path)
        unknown = [name for name in operation.parameters if name not in filled]
        assert not unknown, f"the example of {self.face} must say {unknown} in `path`, for {operation}"
        return filled

    def url(self, verb: str, identifier: str | None = None) -> str:
        operation = self.face.operation(verb)
        return operation.url(self.values(operation, identifier))

    @property
    def reading_url(self) -> str:
        return self.url("get")

    def read(self, api: Api) -> dict[str, Any]:
        """The object as GET shows it now."""
        answer = api.get(self.reading_url)
        assert answer.status_code == 200, answer.content
        shown: dict[str, Any] = answer.json()["result"]
        return shown

    def whole(self, api: Api) -> dict[str, Any]:
        """The body of a PUT that changes nothing."""
        return self.read(api) | dict(self.example.unshown)


def example_of(face: Face, api: Api, at: Place = HERE) -> Example:
    assert face.name in EXAMPLES, f"{face} has no example: add a function to tests/contract/examples.py"
    return EXAMPLES[face.name](api, at)


def make(face: Face, api: Api, at: Place = HERE) -> Made:
    """A new object of a resource."""
    example = example_of(face, api, at)
    if not face.has("create"):
        assert example.shown is not None, f"the example of {face} must give the object as `shown`"
        return Made(face, example, example.shown)
    answer = post(face, api, example)
    assert answer.status_code == 200, answer.content
    result = answer.json()["result"]
    return Made(face, example, result[example.result] if example.result else result)


def post(face: Face, api: Api, example: Example, **members: Any) -> Any:
    """The answer to creating an example."""
    return api.post(address(face, "create", example), example.body | members)


def address(face: Face, verb: str, example: Example) -> str:
    """The address of an operation that names no object of its own."""
    return face.operation(verb).url(example.path)


def absent_id() -> str:
    """An id that names nothing."""
    return new_id()
