"""What an operation is: told by its viewset where it says so, else derived from the action, address and class.

A viewset may declare, each by action:

- `operations`: the operation's name in the contract, where it is not the verb or the action's own name;
- `requests`: the serializer of the body, for actions other than create, update and partial_update;
- `results`: the serializer of the answer's member `result`, where it is not the viewset's own;
- `responses`: the serializer of the whole answer, another name for the derived one, `None` for 204,
  or for answers that are no JSON a mapping of media type to schema;
- `redirects`: a tuple of actions that answer with 303;
- `forms`: a tuple of actions whose body is an URL-encoded form;
- `untagged`: a tuple of actions whose answer has no ETag, though it is one object;
- `optional_bodies`: a tuple of actions whose body may be left out;
- `examples`: a body that shows what to send, where the one made from the schema would not do;
- `queries`: the query parameters as `{name: schema}`, for actions other than lists;
- `raises`: problems beyond the usual, such as `ProviderFailedError`.

And for all of its actions: `group`, where the first step of the address is not the contract's group, and `noun`,
where the class's name without `ViewSet` is not.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import inflection

from core.errors import ProblemError
from core.views import VERBS, ReadViewSet, ResourceViewSet, ScopedViewSet

Shape = Literal["list", "get", "create", "update", "patch", "delete", "other"]
SHAPES = ("list", "get", "create", "update", "patch", "delete")
_METHODS = {"list": "GET", "get": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}


class Operation:
    """One operation of a viewset."""

    def __init__(self, view: Any, path: str, method: str) -> None:
        self.view, self.path, self.method = view, path, method
        self.action: str = view.action
        self.name: str = self.declared("operations") or VERBS.get(self.action) or self.action
        self.group: str = getattr(view, "group", "") or path.split("/")[2].replace("-", "_")
        self.shape: Shape = self._shape()
        self.noun: str = getattr(view, "noun", "") or spaced(type(view).__name__.removesuffix("ViewSet"))
        self.nouns: str = inflection.pluralize(self.noun)

    def declared(self, attribute: str) -> Any:
        """What the viewset says for this action."""
        return getattr(self.view, attribute, {}).get(self.action)

    def _shape(self) -> Shape:
        shape = VERBS.get(self.action) or self.name.partition("_")[0]
        if shape in SHAPES and _METHODS[shape] == self.method:
            return cast(Shape, shape)
        return {"GET": "get", "DELETE": "delete"}.get(self.method, "other")  # type: ignore[return-value]

    @property
    def is_standard(self) -> bool:
        """Whether it is one of the six verbs, perhaps under a longer name."""
        return self.name in SHAPES or (self.action in VERBS and self.name.startswith(f"{self.shape}_"))

    @property
    def is_inherited(self) -> bool:
        """Whether the base viewset's own method answers it."""
        return getattr(type(self.view), self.action) is getattr(ResourceViewSet, self.action, None)

    @property
    def is_paged(self) -> bool:
        return self.shape == "list" and isinstance(self.view, ReadViewSet) and self.query is None

    @property
    def has_tag(self) -> bool:
        """Whether the answer carries an ETag."""
        if not isinstance(self.view, ReadViewSet):
            return False
        if self.shape == "get":
            return not self.has_own_answer and self.action not in getattr(self.view, "untagged", ())
        return self.shape in ("create", "update", "patch") and self.is_inherited

    @property
    def is_conditional(self) -> bool:
        """Whether it heeds `If-None-Match`."""
        return self.shape == "get" and self.has_tag and self.action not in self.view.unconditional

    @property
    def checks_tag(self) -> bool:
        """Whether it heeds `If-Match`."""
        return (
            isinstance(self.view, ResourceViewSet) and self.is_inherited and self.method in ("PUT", "PATCH", "DELETE")
        )

    @property
    def heeds_key(self) -> bool:
        """Whether an `Idempotency-Key` makes it take effect once."""
        return self.method == "POST" and isinstance(self.view, ScopedViewSet)

    @property
    def has_own_answer(self) -> bool:
        """Whether the answer is declared to be something else than the viewset's object."""
        declared = self.declared("responses")
        return not isinstance(declared, str) and self.action in getattr(self.view, "responses", {})

    @property
    def query(self) -> dict[str, dict[str, Any]] | None:
        declared: dict[str, dict[str, Any]] | None = self.declared("queries")
        return declared

    @property
    def has_optional_body(self) -> bool:
        return self.action in getattr(self.view, "optional_bodies", ())

    @property
    def is_redirect(self) -> bool:
        return self.action in getattr(self.view, "redirects", ())

    @property
    def media_type(self) -> str:
        """Of the body."""
        is_form = self.action in getattr(self.view, "forms", ())
        return "application/x-www-form-urlencoded" if is_form else "application/json"

    @property
    def raises(self) -> tuple[type[ProblemError], ...]:
        return tuple(self.declared("raises") or ())

    @property
    def answer_name(self) -> str:
        """The component's name of the answer: verb, what the name adds to it, noun."""
        declared = self.declared("responses")
        if isinstance(declared, str):
            return declared
        verb, _, rest = self.name.partition("_")
        noun = self.nouns if self.shape == "list" else self.noun
        words = [verb, rest] if rest and rest.endswith(self.noun.replace(" ", "_")) else [verb, rest, noun]
        return camel("_".join(words)) + "Response"


def spaced(name: str) -> str:
    """A class's name as words."""
    return inflection.underscore(name).replace("_", " ")


def camel(words: str) -> str:
    """Words as a class's name."""
    joined: str = inflection.camelize(words.replace(" ", "_").strip("_").replace("__", "_"))
    return joined


def with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"
