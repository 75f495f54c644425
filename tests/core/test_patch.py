"""JSON Patch: the RFC's cases, what operations may target and what a patch may cost."""

from __future__ import annotations

import copy
import json
import tracemalloc
from pathlib import Path
from typing import Any

import jsonpatch
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MalformedBodyError, PatchError, PatchTestError, ProblemError
from core.parsing import MAX_BYTES, MAX_DEPTH, MAX_NODES, check_json
from core.patch import MAX_OPERATIONS, apply_patch, patch_value

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
CORPUS_COUNTS = {"json-patch-tests.json": (95, 92), "json-patch-spec-tests.json": (17, 16)}


def op(name: str, path: str, **members: Any) -> dict[str, Any]:
    if "source" in members:
        members["from"] = members.pop("source")
    return {"op": name, "path": path, **members}


def refusal(document: Any, operations: Any, **rules: Any) -> tuple[type[ProblemError], str]:
    before = copy.deepcopy(document)
    with pytest.raises(ProblemError) as caught:
        apply_patch(document, operations, **rules)
    assert document == before
    assert caught.value.at is not None
    return type(caught.value), caught.value.at.id


@pytest.mark.parametrize("name", CORPUS_COUNTS)
def test_apply_patch__corpus__agrees_in_every_case(name: str) -> None:
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"{name} of json-patch/json-patch-tests is not at {path}")
    cases = json.loads(path.read_bytes())
    enabled = [case for case in cases if not case.get("disabled")]
    assert (len(cases), len(enabled)) == CORPUS_COUNTS[name]
    for case in enabled:
        before = copy.deepcopy(case["doc"])
        if "expected" in case:
            assert patch_value(case["doc"], case["patch"]) == case["expected"], case
        else:
            compares = any(item["op"] == "test" and "value" in item for item in case["patch"])
            with pytest.raises(PatchTestError if compares else PatchError):
                patch_value(case["doc"], case["patch"])
        assert case["doc"] == before
        if isinstance(case["doc"], dict) and isinstance(case.get("expected"), dict):
            assert apply_patch(case["doc"], case["patch"]) == case["expected"]


def test_apply_patch__result_is_no_object__is_refused() -> None:
    assert refusal({}, [op("replace", "", value=[])]) == (PatchError, "")


@pytest.mark.parametrize(
    "operations, pointer",
    [
        (None, ""),
        ({}, ""),
        ("[]", ""),
        ([op("test", "", value={})] * (MAX_OPERATIONS + 1), ""),
        ([1], "/0"),
        ([{}], "/0/op"),
        ([op("test", "/a", value=1), {"op": None, "path": "/a"}], "/1/op"),
        ([op("append", "/a", value=1)], "/0/op"),
        ([{"op": "remove"}], "/0/path"),
        ([{"op": "remove", "path": None}], "/0/path"),
        ([op("remove", "a")], "/0/path"),
        ([op("add", "/a")], "/0/value"),
        ([op("test", "/a")], "/0/value"),
        ([op("move", "/a")], "/0/from"),
        ([op("copy", "/a", source=None)], "/0/from"),
        ([op("copy", "/a", source="b~")], "/0/from"),
        ([op("copy", "/a", source="/none")], "/0/from"),
        ([op("copy", "/a", source="/list/-")], "/0/from"),
        ([op("copy", "/a", source="/list/00")], "/0/from"),
        ([op("move", "/list/0/x", source="/list/0")], "/0/path"),
        ([op("move", "/a", source="")], "/0/path"),
        ([op("remove", "")], "/0/path"),
        ([op("remove", "/none")], "/0/path"),
        ([op("remove", "/list/-")], "/0/path"),
        ([op("remove", "/list/" + "9" * 5000)], "/0/path"),
        ([op("replace", "/none", value=1)], "/0/path"),
        ([op("replace", "/list/1", value=1)], "/0/path"),
        ([op("add", "/list/2", value=1)], "/0/path"),
        ([op("add", "/list/-1", value=1)], "/0/path"),
        ([op("add", "/list/\u0660", value=1)], "/0/path"),
        ([op("add", "/a/b", value=1)], "/0/path"),
        ([op("add", "/none/b", value=1)], "/0/path"),
    ],
)
def test_apply_patch__bad_patch__names_the_member(operations: Any, pointer: str) -> None:
    assert refusal({"a": 1, "list": [[]]}, operations) == (PatchError, pointer)


def test_apply_patch__unused_members__are_ignored() -> None:
    operations = [
        {"op": "add", "path": "/b", "value": None, "from": None, "note": {}},
        {"op": "remove", "path": "/a", "value": None, "from": None},
        {"op": "copy", "path": "/c", "value": None, "from": "/b"},
        {"op": "test", "path": "/c", "value": None, "from": 1},
    ]
    assert apply_patch({"a": 1}, operations) == {"b": None, "c": None}


@pytest.mark.parametrize("value, same", [(1, 1.0), (0, -0.0), ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1})])
def test_test__equal_json__passes(value: Any, same: Any) -> None:
    assert apply_patch({"v": value}, [op("test", "/v", value=same)]) == {"v": value}


@pytest.mark.parametrize(
    "value, other",
    [(1, True), (0, False), (1, "1"), (None, 0), ([], {}), ([1], [True]), ([1, 2], [2, 1]), ({"a": 1}, {})],
)
def test_test__other_json__fails_with_409(value: Any, other: Any) -> None:
    operations = [op("replace", "/n", value=2), op("test", "/v", value=other)]
    assert refusal({"v": value, "n": 1}, operations) == (PatchTestError, "/1")
    assert refusal({"v": other, "n": 1}, [op("test", "/v", value=value)]) == (PatchTestError, "/0")


def test_test__nothing_there__fails_without_naming_stored_values() -> None:
    with pytest.raises(PatchTestError) as caught:
        apply_patch({"secret": "s3cr3t"}, [op("test", "/none", value=1)])
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "operation, pointer",
    [
        (op("replace", "/id", value=2), "/0/path"),
        (op("add", "/id/x", value=2), "/0/path"),
        (op("remove", "/id"), "/0/path"),
        (op("test", "/id", value=1), "/0/path"),
        (op("copy", "/id", source="/name"), "/0/path"),
        (op("move", "/name", source="/id"), "/0/from"),
        (op("move", "/name", source="/a~1b/0"), "/0/from"),
        (op("replace", "", value={}), "/0/path"),
        (op("move", "", source=""), "/0/path"),
        (op("copy", "", source="/name"), "/0/path"),
    ],
)
def test_read_only__operation_targets_it__is_refused(operation: dict[str, Any], pointer: str) -> None:
    document = {"id": {}, "name": {}, "a/b": [1], "idx": 1}
    assert refusal(document, [operation], read_only={"id", "a/b"}) == (PatchError, pointer)


def test_read_only__other_names_and_copies_of_it__are_allowed() -> None:
    operations = [op("copy", "/name", source="/id"), op("add", "/idx", value={"id": 3})]
    assert apply_patch({"id": 1}, operations, read_only={"id"}) == {"id": 1, "name": 1, "idx": {"id": 3}}


def test_rules__operation_or_place_not_allowed__is_refused_before_anything_is_compared() -> None:
    rules: dict[str, Any] = {
        "allowed_ops": {"add", "remove", "replace"},
        "allow_path": lambda pointer: pointer == "/name" or pointer.startswith("/config/"),
    }
    document = {"name": "a", "secret": "b", "config": {}}
    assert apply_patch(document, [op("add", "/config/x", value=1)], **rules)["config"] == {"x": 1}
    late_test = [op("replace", "/name", value=1), op("test", "/name", value="a")]
    assert refusal(document, late_test, **rules) == (PatchError, "/1/op")
    assert refusal(document, [op("replace", "/secret", value=1)], **rules) == (PatchError, "/0/path")
    assert refusal(document, [op("replace", "", value={})], **rules) == (PatchError, "/0/path")
    rules["allowed_ops"] = None
    assert refusal(document, [op("copy", "/name", source="/secret")], **rules) == (PatchError, "/0/from")


def count_nodes(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count_nodes, children))


DOUBLING = [op("copy", f"/{i}", source="") for i in range(22)]


@pytest.mark.parametrize(
    "document, operations, index",
    [
        ({"a": [1, 2]}, DOUBLING, 12),
        ({"a": ["x" * 60_000]}, [op("copy", "/a/-", source="/a/0")] * 9, 3),
        ({"a": [1] * 6_000}, [op("copy", "/b", source="/a"), op("remove", "/b")] * 50, 6),
        (
            {"a": [1] * 9_000, "b": {}},
            [op("move", "/b/a", source="/a"), op("move", "/a", source="/b/a")] * 50,
            2,
        ),
        ({"a": [1] * 9_000}, [op("test", "/a", value=[1] * 9_000)] * 2 + [op("copy", "/b", source="/a")], 2),
        ({"a": [1] * (MAX_NODES - 3)}, [op("add", "/b", value=1), op("add", "/c", value=1)], 1),
        (
            {"a": ["x" * 60_000] * 4},
            [op("replace", "/a/0", value="x" * 65_536), op("add", "/b", value="x" * 30_000)],
            1,
        ),
    ],
    ids=["doubling", "text", "copy and remove", "move", "test", "nodes", "bytes"],
)
def test_budget__too_much__is_refused_at_the_operation_before_it_is_done(
    document: Any, operations: Any, index: int
) -> None:
    tracemalloc.start()
    try:
        assert refusal(document, operations) == (PatchError, f"/{index}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20
    assert count_nodes(apply_patch(document, operations[:index])) <= MAX_NODES


def test_budget__object_at_its_limit__can_still_be_changed() -> None:
    document = {"a": [1] * (MAX_NODES - 2)}
    operations = [op("replace", "/a/0", value=2), op("remove", "/a/1"), op("add", "/a/-", value=3)] * 33
    assert count_nodes(apply_patch(document, operations)) == MAX_NODES
    full: dict[str, Any] = {"a": "", "b": ["x" * 65_000] * 4}
    full["a"] = "x" * (MAX_BYTES - len(orjson.dumps(full)))
    size = len(full["a"])
    assert apply_patch(full, [op("replace", "/a", value="y" * size)])["a"] == "y" * size
    assert apply_patch(full, [op("remove", "/b/0"), op("copy", "/b/-", source="/b/0")]) == full
    assert apply_patch(full, [op("move", "/c", source="/a")])["c"] == full["a"]
    assert refusal(full, [op("replace", "/a", value="y" * (size + 1))]) == (PatchError, "/0")


def test_budget__depth__is_held_at_each_operation() -> None:
    deeper = [op("add", "/a" * depth, value={}) for depth in range(1, MAX_DEPTH)]
    check_json(apply_patch({}, deeper))
    assert refusal({}, [*deeper, op("add", "/a" * MAX_DEPTH, value={})]) == (
        PatchError,
        f"/{MAX_DEPTH - 1}/path",
    )
    assert apply_patch({}, [*deeper, op("add", "/a" * MAX_DEPTH, value=1)])
    nested = [op("copy", "/a", source="") for _ in range(MAX_DEPTH)]
    assert refusal({}, nested) == (PatchError, f"/{MAX_DEPTH - 1}/path")


def test_apply_patch__values_beyond_the_readers_limits__are_refused() -> None:
    assert refusal({}, [op("add", "/a", value=[2**63])]) == (MalformedBodyError, "/0/value/0")
    assert refusal({}, [op("add", "/\0", value=1)]) == (MalformedBodyError, "/0/path")


def test_apply_patch__nested_values__are_shared_with_neither_input() -> None:
    document: dict[str, Any] = {"a": {"b": []}}
    operations = [op("add", "/c", value={"d": []}), op("copy", "/e", source="/c")]
    result = apply_patch(document, operations)
    for path in (result["a"]["b"], result["c"]["d"]):
        path.append(1)
    assert (document, operations[0]["value"], result["e"]) == ({"a": {"b": []}}, {"d": []}, {"d": []})


leaves = st.sampled_from([None, True, 0, 1, 1.0, "", "a"])
names = st.sampled_from(["a", "b", "", "0", "~", "/"])
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner), max_leaves=9)
pointers = st.lists(st.sampled_from(["a", "b", "", "0", "1", "-", "~0", "~1"]), max_size=4).map(
    lambda parts: "".join("/" + part for part in parts)
)
operation = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": pointers},
    optional={"value": values, "from": pointers},
)


@given(st.dictionaries(names, values), st.lists(operation, max_size=8))
def test_apply_patch__any_operations__change_what_the_package_alone_would(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    before = orjson.dumps(document)
    try:
        result = patch_value(document, operations)
    except ProblemError:
        with pytest.raises((jsonpatch.JsonPatchException, jsonpatch.JsonPointerException)):
            jsonpatch.apply_patch(document, operations)
    else:
        assert orjson.dumps(result) == orjson.dumps(jsonpatch.apply_patch(document, operations))
    assert orjson.dumps(document) == before


anything = st.recursive(leaves | pointers, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
loose = st.dictionaries(st.sampled_from(["op", "path", "from", "value", "x"]), anything)


@given(st.dictionaries(names, values), anything | st.lists(loose | anything))
def test_apply_patch__any_value__raises_nothing_but_problems(document: dict[str, Any], operations: Any) -> None:
    try:
        result = apply_patch(document, operations, read_only={"b"})
    except ProblemError:
        return
    assert result.get("b", "none") == document.get("b", "none")
