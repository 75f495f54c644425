"""The published client, unmodified, with every exchange recorded and every answer checked strictly."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import dataclasses
import enum
import functools
import typing
import uuid
from collections.abc import Callable
from typing import Any

import httpx
from django.urls import resolve
from synqly.management.client import SynqlyManagement
from synqly.management.common import Problem
from synqly.management.core.api_error import ApiError

from tests.client.strict import refuse_different
from tests.contract.faces import Operation, operations


@dataclasses.dataclass(frozen=True)
class Exchange:
    """One request and its answer, as they were on the wire."""

    operation: str  # as `tests.contract.faces` writes it: GET /v1/accounts/{account_id}
    answer: httpx.Response

    @property
    def body(self) -> Any:
        return self.answer.json()


class Published:
    """`published.accounts.get("north")` calls the client's method and holds the raw answer against its models.

    An answer of an error raises the client's own exception, once its body is found to be exactly a Problem.
    """

    def __init__(self, url: str, token: str) -> None:
        self.exchanges: list[Exchange] = []
        self.url, self.token = url, token
        recording = httpx.Client(timeout=30, event_hooks={"response": [self._record]})
        # The client repeats what is answered with 409; here every answer counts.
        self.client = SynqlyManagement(base_url=url, token=token, httpx_client=recording, max_retries=0)

    def __getattr__(self, group: str) -> Any:
        return _Group(self, getattr(self.client, group))

    def _record(self, answer: httpx.Response) -> None:
        answer.read()
        self.exchanges.append(Exchange(_operation_of(answer.request), answer))

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    @property
    def succeeded(self) -> set[str]:
        """The operations that have answered well."""
        return {each.operation for each in self.exchanges if each.answer.is_success}

    def as_(self, token: str) -> Published:
        """The same service for another bearer."""
        return Published(self.url, token)

    def checked(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        before = len(self.exchanges)
        try:
            given = method(*args, **kwargs)
        except ApiError as error:
            self._refuse_other_than_problem(error)
            raise
        assert len(self.exchanges) == before + 1
        expected = typing.get_type_hints(method)["return"]
        if expected is type(None):
            assert self.last.answer.status_code == 204
            assert self.last.answer.content == b""
        else:
            assert self.last.answer.status_code == 200
            refuse_different(self.last.body, expected)
        return given

    def _refuse_other_than_problem(self, error: ApiError) -> None:
        assert error.status_code == self.last.answer.status_code
        assert self.last.answer.headers["content-type"] == "application/problem+json"
        refuse_different(self.last.body, Problem)


class _Group:
    def __init__(self, published: Published, group: Any) -> None:
        self.published, self.group = published, group

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self.published.checked, getattr(self.group, name))


def _operation_of(request: httpx.Request) -> str:
    """The operation that a request is for, as the router sees it."""
    route = resolve(request.url.path).route
    found = [each for each in operations() if each.route == route and each.method == request.method]
    return str(found[0]) if found else f"{request.method} /{route}"


def exercises(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Says which operations a test calls through the client; the fixture `published` holds it to that."""

    def note(test: Callable[..., None]) -> Callable[..., None]:
        test.exercises = names  # type: ignore[attr-defined]
        return test

    return note


def every_operation() -> dict[str, Operation]:
    return {str(each): each for each in operations()}


def new_name(noun: str) -> str:
    """A name that no other test has taken at the shared server."""
    return f"{noun}-{uuid.uuid4().hex[:12]}"


def members(shown: Any) -> dict[str, Any]:
    """The members of an object as the client gave it: what an update sends back."""
    return {name: value for name in type(shown).model_fields if (value := getattr(shown, name)) is not None}


def words(vocabulary: type[enum.Enum]) -> list[Any]:
    """A vocabulary of the client without its word for what it does not know."""
    return [member for name, member in vocabulary.__members__.items() if name != "_UNKNOWN"]
