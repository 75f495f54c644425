"""What a request may look like: its members, parameters, methods, media types and hostile bodies."""

from __future__ import annotations

from typing import Any

import pytest

from core.serializers import in_mode
from tests.api import JSON, JSON_PATCH, Api
from tests.contract.faces import Face, Operation, faces, having, operations
from tests.contract.made import example_of, make, post
from tests.contract.problems import assert_problem

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ROUTES = {o.route: o for o in operations()}
WRONG_VALUES: list[Any] = [
    7, -1, 1.5, True, 2**63 - 1, "", " ", "x" * 60_000, "\U0001f600", [], [[]], [None], ["x"] * 101, {}, {"": ""},
    {"a": {"b": []}},
]  # fmt: skip
HOSTILE_BODIES = {
    "nothing but space": b" ",
    "no json": b"{",
    "null": b"null",
    "an array": b"[]",
    "a string": b'"x"',
    "not utf-8": b'{"name": "\xff"}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "lone surrogate": rb'{"name": "\ud800"}',
    "zero character": rb'{"fullname": "\u0000"}',
    "zero character as a key": rb'{"\u0000": 1}',
    "repeated member": b'{"name": "a", "name": "b"}',
    "nan": b'{"name": NaN}',
    "huge integer": b'{"name": 123456789012345678901234567890}',
    "huge exponent": b'{"name": 1e999}',
    "deep array": b"[" * 2000 + b"]" * 2000,
    "deep member": b'{"labels": ' + b"[" * 100 + b"]" * 100 + b"}",
}


def body_operations() -> list[tuple[Face, Operation]]:
    return [(face, o) for face in faces() for o in face.operations if o.method in ("POST", "PUT", "PATCH")]


def on_an_object(face: Face, operation: Operation, api: Api) -> str:
    """The operation's address, on an object that is there."""
    return operation.url(make(face, api).values(operation))


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__unknown_member__is_refused_at_its_place(face: Face, acme: Api) -> None:
    example = example_of(face, acme)
    problem = assert_problem(post(face, acme, example, surprise=1), 400, "invalid-request", at="/surprise")
    assert problem["context"]["parameter"]["location"] == "body"
    assert_problem(post(face, acme, example, **{"a/b~c": 1}), 400, at="/a~1b~0c")
    several = assert_problem(post(face, acme, example, surprise=1, name=7), 400)
    assert all("context" in cause for cause in several.get("cause", [several]))


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__unknown_member__is_refused_at_its_place(face: Face, acme: Api) -> None:
    made = make(face, acme)
    assert_problem(acme.put(made.url("update"), made.whole(acme) | {"surprise": 1}), 400, at="/surprise")


@pytest.mark.parametrize("face", faces(), ids=str)
def test_operation__unknown_query_parameter__is_refused_by_name(face: Face, acme: Api) -> None:
    made = make(face, acme)
    for operation in sorted(face.operations, key=lambda o: o.method == "DELETE"):
        url = operation.url(made.values(operation))
        body = made.example.bodies.get(operation.action, [] if operation.verb == "patch" else made.example.body)
        answer = acme.request(operation.method, url, None if operation.method == "GET" else body, query={"surprise": 1})
        problem = assert_problem(answer, 400, at="surprise")
        assert problem["context"]["parameter"]["location"] == "query"


@pytest.mark.parametrize("face", having("get"), ids=str)
def test_head__of_an_object__is_get_without_the_body(face: Face, acme: Api) -> None:
    assert_head_like_get(acme, make(face, acme).reading_url)


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_head__of_a_list__is_get_without_the_body(face: Face, acme: Api) -> None:
    assert_head_like_get(acme, make(face, acme).url("list") + "?limit=1")


def assert_head_like_get(api: Api, url: str) -> None:
    shown, head = api.get(url), api.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert shown.content
    assert {n: v for n, v in head.headers.items() if n != "X-Request-Id"} == {
        n: v for n, v in shown.headers.items() if n != "X-Request-Id"
    }


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_address__other_method__is_405_and_names_the_allowed(route: str, acme: Api) -> None:
    url = ROUTES[route].url(dict.fromkeys(ROUTES[route].parameters, "x"))
    offered = {o.method for o in operations() if o.route == route}
    refused = set(METHODS) - offered
    assert refused
    for method in refused:
        answer = acme.request(method, url)
        assert_problem(answer, 405, "method-not-allowed")
        assert {m.strip() for m in answer.headers["Allow"].split(",")} >= offered
    for method in ("OPTIONS", "TRACE", "PROPFIND"):
        assert_problem(acme.request(method, url), 405, "method-not-allowed")


@pytest.mark.parametrize("face", faces(), ids=str)
def test_address__trailing_slash__is_not_redirected(face: Face, acme: Api) -> None:
    made = make(face, acme)
    for operation in face.operations:
        answer = acme.request(operation.method, operation.url(made.values(operation)) + "/", b"{}")
        assert_problem(answer, 404, "not-found")


@pytest.mark.parametrize("face, operation", body_operations(), ids=str)
def test_body__other_media_type__is_415(face: Face, operation: Operation, acme: Api) -> None:
    url = on_an_object(face, operation, acme)
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"):
        answer = acme.request(operation.method, url, b"{}", content_type=media_type)
        assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("name", HOSTILE_BODIES)
@pytest.mark.parametrize("face, operation", body_operations(), ids=str)
def test_body__hostile__is_400(face: Face, operation: Operation, name: str, acme: Api) -> None:
    if operation.verb == "patch" and name == "an array":
        pytest.skip("a patch without operations is a patch")
    media_type = JSON_PATCH if operation.verb == "patch" else JSON
    url = on_an_object(face, operation, acme)
    assert_problem(acme.request(operation.method, url, HOSTILE_BODIES[name], content_type=media_type), 400)


@pytest.mark.parametrize("face, operation", body_operations(), ids=str)
def test_body__over_256_kib__is_413(face: Face, operation: Operation, acme: Api) -> None:
    url = on_an_object(face, operation, acme)
    assert_problem(acme.request(operation.method, url, b" " * (256 * 1024 + 1)), 413, "body-too-large")


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__any_wrong_value__is_a_problem_at_its_place(face: Face, acme: Api) -> None:
    """Whatever a member is given: it is taken or refused, at its place, never a failure."""
    refused = 0
    for name in in_mode(face.viewset.serializer_class, "create")().fields:
        for value in WRONG_VALUES:
            answer = post(face, acme, example_of(face, acme), **{str(name): value})
            if answer.status_code == 200:
                continue
            problem = assert_problem(answer, 409 if answer.status_code == 409 else 400)
            assert problem["context"]["parameter"]["id"].startswith(f"/{name}"), problem
            refused += 1
    assert refused > 10


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__any_wrong_value__is_a_problem_at_its_place(face: Face, acme: Api) -> None:
    made = make(face, acme)
    for name in in_mode(face.viewset.serializer_class, "update")().fields:
        for value in WRONG_VALUES:
            answer = acme.put(made.url("update"), made.whole(acme) | {name: value})
            if answer.status_code == 200:
                continue
            problem = assert_problem(answer, 409 if answer.status_code == 409 else 400)
            assert problem["context"]["parameter"]["id"].startswith(f"/{name}"), problem
    assert made.read(acme)["id"] == made.id


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/surprise", "/v2/accounts", "/", "/v1//accounts", "/v1/accounts/x/y"]
)
def test_address__unknown__is_a_problem(path: str, acme: Api) -> None:
    assert_problem(acme.get(path), 404, "not-found")


@pytest.mark.parametrize("face", having("get")[:1], ids=str)
def test_answer__any__carries_safe_headers(face: Face, acme: Api) -> None:
    answer = acme.get(make(face, acme).reading_url)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Request-Id"]
