"""Who is kept out, of every operation and every object."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from identity.permissionsets.sets import Permissions
from tests.api import Api
from tests.contract.faces import Face, Operation, faces, having, operations
from tests.contract.made import absent_id, address, example_of, make
from tests.contract.problems import assert_problem, without_identity


def url_to_nothing(operation: Operation) -> str:
    return operation.url({name: absent_id() for name in operation.parameters})


@pytest.mark.parametrize("operation", operations(), ids=str)
def test_operation__no_token__is_401(operation: Operation, nobody: Api) -> None:
    answer = nobody.request(operation.method, url_to_nothing(operation))
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer x", "Basic eDp5", "sqm_x", "Bearer \u00e9", "Bearer a b"])
@pytest.mark.parametrize("operation", operations()[:1], ids=str)
def test_operation__malformed_token__is_401(operation: Operation, authorization: str, nobody: Api) -> None:
    answer = nobody.request(operation.method, url_to_nothing(operation), headers={"Authorization": authorization})
    assert_problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize("operation", [o for o in operations() if o.verb != "refresh"], ids=str)
def test_operation__no_grant__is_403(operation: Operation, acme: Api) -> None:
    powerless = acme.issue(Permissions.MCP_MANAGEMENT)
    answer = powerless.request(operation.method, url_to_nothing(operation), b"{}")
    problem = assert_problem(answer, 403, "forbidden")
    assert repr(operation.verb) in problem["message"]
    assert repr(operation.resource) in problem["message"]


@pytest.mark.parametrize("face", faces(), ids=str)
def test_object__of_the_neighbour__looks_like_none(face: Face, acme: Api, stranger: Api) -> None:
    if face.viewset.singleton:
        pytest.skip("its address names no object: whoever asks gets their own")
    made = make(face, acme)
    for operation in face.operations:
        if face.viewset.lookup_url_kwarg not in operation.parameters:
            continue
        body: Any = [] if operation.verb == "patch" else {}
        foreign = stranger.request(operation.method, operation.url(made.values(operation)), body)
        missing_id = absent_id()
        gone = acme.request(operation.method, operation.url(made.values(operation, missing_id)), body)
        assert_problem(foreign, 404, "not-found")
        if not made.example.path:  # below a foreign owner it is the owner that is not found
            assert without_identity(foreign, made.id) == without_identity(gone, missing_id)


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__of_the_neighbour__is_empty_or_not_there(face: Face, acme: Api, stranger: Api) -> None:
    made = make(face, acme)
    answer = stranger.get(made.url("list"))
    if not made.example.path:
        assert made.id not in answer.content.decode()
        assert acme.id not in answer.content.decode()
        return
    missing = {name: absent_id() for name in made.example.path}
    gone = stranger.get(face.operation("list").url(missing))
    assert without_identity(answer, *made.example.path.values()) == without_identity(gone, *missing.values())
    assert answer.status_code == 404 or answer.json()["result"] == []


@pytest.mark.parametrize("face", [f for f in having("create") if f.operation("create").parameters], ids=str)
def test_create__below_an_owner_of_the_neighbour__looks_like_none(face: Face, acme: Api, stranger: Api) -> None:
    example = example_of(face, acme)
    missing = {name: absent_id() for name in example.path}
    foreign = stranger.post(address(face, "create", example), example.body)
    gone = stranger.post(face.operation("create").url(missing), example.body)
    assert_problem(foreign, 404, "not-found")
    assert without_identity(foreign, *example.path.values()) == without_identity(gone, *missing.values())


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__reference_to_the_neighbour__is_refused_like_a_missing_one(face: Face, acme: Api, globex: Api) -> None:
    example = example_of(face, acme)
    for pointer, make_reference in example.references.items():
        foreign_id, missing_id = make_reference(globex), absent_id()
        foreign, missing = (
            acme.post(address(face, "create", example), replaced(example.body, pointer, identifier))
            for identifier in (foreign_id, missing_id)
        )
        assert_problem(foreign, 400, at=pointer)
        assert without_identity(foreign, foreign_id) == without_identity(missing, missing_id)
    assert acme.post(address(face, "create", example), example.body).status_code == 200


def replaced(body: dict[str, Any], pointer: str, value: str) -> dict[str, Any]:
    """A body with another value at a place that it has."""
    result = copy.deepcopy(body)
    target: Any = result
    *steps, last = pointer.split("/")[1:]
    for step in steps:
        target = target[int(step) if isinstance(target, list) else step]
    target[int(last) if isinstance(target, list) else last] = value
    return result


@pytest.mark.parametrize("face", having("get"), ids=str)
def test_object__reader__sees_it_and_changes_nothing(face: Face, acme: Api, reader: Api) -> None:
    made = make(face, acme)
    before = made.read(reader)
    for operation in face.operations:
        if operation.method == "GET":
            continue
        answer = reader.request(operation.method, operation.url(made.values(operation)), b"{}")
        assert_problem(answer, 403, "forbidden")
    assert made.read(acme) == before


@pytest.mark.parametrize("identifier", ["0" * 300, "%00", "%ED%A0%80", "%F0%9F%92%A9", "'", "a%2Fb", "%20", "\u0660"])
@pytest.mark.parametrize("face", having("get"), ids=str)
def test_object__hostile_identifier__is_not_found(face: Face, identifier: str, acme: Api) -> None:
    if face.viewset.singleton:
        pytest.skip("its address names no object")
    made = make(face, acme)
    operation = face.operation("get")
    url = operation.url(made.values(operation, "IDENTIFIER")).replace("IDENTIFIER", identifier)
    problem = assert_problem(acme.get(url), 404, "not-found")
    if identifier != "a%2Fb":  # which is another address
        assert problem["context"]["parameter"]["id"] == face.viewset.lookup_url_kwarg
