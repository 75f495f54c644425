"""JSON Patch (RFC 6902) within a budget: what operations may do, and how much."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import orjson
from jsonpatch import JsonPatch, JsonPatchException, JsonPatchTestFailed
from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from core.errors import ABSENT, Parameter, PatchError, PatchTestError
from core.parsing import MAX_BYTES, MAX_DEPTH, MAX_NODES, check_json, json_pointer

MAX_OPERATIONS = 100
_NEEDS = {
    "add": "value",
    "remove": None,
    "replace": "value",
    "move": "from",
    "copy": "from",
    "test": "value",
}


def apply_patch(
    document: dict[str, Any],
    operations: Any,
    *,
    allowed_ops: Collection[str] | None = None,
    allow_path: Callable[[str], bool] | None = None,
    read_only: Collection[str] = (),
) -> dict[str, Any]:
    """The object that the operations make of `document`, which stays as it is.

    `allow_path` is asked about every `path` and used `from`; nothing targets a top-level name of
    `read_only`, anything below it or a whole document that has such names.
    """
    result = patch_value(document, operations, Rules(allowed_ops, allow_path, read_only))
    if not isinstance(result, dict):
        raise PatchError("Leave an object, no other kind of value.", at=Parameter("body", ""))
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What operations may do; see `apply_patch`."""

    allowed_ops: Collection[str] | None = None
    allow_path: Callable[[str], bool] | None = None
    read_only: Collection[str] = ()


def patch_value(document: Any, operations: Any, rules: Rules | None = None) -> Any:
    """As `apply_patch`, for any JSON value."""
    check_json(operations)
    if not isinstance(operations, list):
        raise PatchError("Send an array of operations.", at=Parameter("body", ""))
    if len(operations) > MAX_OPERATIONS:
        raise PatchError(f"Send at most {MAX_OPERATIONS} operations.", at=Parameter("body", ""))
    steps = [_read_operation(index, item) for index, item in enumerate(operations)]
    for step in steps:
        _check_rules(step, rules or Rules())
    result = orjson.loads(orjson.dumps(document))  # the one copy; operations change it in place
    budget = _Budget(_measure(result))
    for step in steps:
        budget.charge(step, result)
        result = _apply(step, result)
        budget.settle(step, result)
    return result


@dataclasses.dataclass(frozen=True, slots=True)
class _Operation:
    """One well-formed operation; `source` is its `from`, `value` is ABSENT where it has none."""

    index: int
    name: str
    path: JsonPointer
    source: JsonPointer | None
    value: Any

    def error(self, member: str, message: str) -> PatchError:
        pointer = json_pointer([self.index, member] if member else [self.index])
        return PatchError(f"Operation {self.index} (`{self.name}`): {message}", at=Parameter("body", pointer))

    def plain(self) -> dict[str, Any]:
        members = {"op": self.name, "path": self.path}
        if self.source is not None:
            members["from"] = self.source
        if self.value is not ABSENT:
            members["value"] = self.value
        return members


def _read_operation(index: int, item: Any) -> _Operation:
    """Only what the operation needs is read: a client may send `"from": null`, or members of its own."""
    if not isinstance(item, dict):
        raise PatchError("Send each operation as an object.", at=Parameter("body", json_pointer([index])))
    name = item.get("op")
    if not isinstance(name, str) or name not in _NEEDS:
        message = f"Send as `op` one of {', '.join(_NEEDS)}."
        raise PatchError(message, at=Parameter("body", json_pointer([index, "op"])))
    needed = _NEEDS[name]
    path = _read_pointer(index, "path", item)
    source = _read_pointer(index, "from", item) if needed == "from" else None
    if needed == "value" and "value" not in item:
        message = f"Send the `value` that `{name}` needs."
        raise PatchError(message, at=Parameter("body", json_pointer([index, "value"])))
    step = _Operation(index, name, path, source, item["value"] if needed == "value" else ABSENT)
    if name == "move" and source is not None and path != source and path.contains(source):
        raise step.error("path", "a value cannot move into itself.")
    return step


def _read_pointer(index: int, member: str, item: dict[str, Any]) -> JsonPointer:
    at = Parameter("body", json_pointer([index, member]))
    text = item.get(member)
    if not isinstance(text, str):
        raise PatchError(f"Send `{member}` as a JSON Pointer, a string.", at=at)
    try:
        return JsonPointer(text)
    except JsonPointerException:
        message = f"Send `{member}` as a JSON Pointer: empty or led by `/`, with `~0` for `~` and `~1` for `/`."
        raise PatchError(message, at=at) from None


def _check_rules(step: _Operation, rules: Rules) -> None:
    if rules.allowed_ops is not None and step.name not in rules.allowed_ops:
        raise step.error("op", f"use only {', '.join(sorted(rules.allowed_ops))} here.")
    targets = {"path": step.path} if step.source is None else {"path": step.path, "from": step.source}
    for member, pointer in targets.items():
        if rules.allow_path is not None and not rules.allow_path(pointer.path):
            raise step.error(member, "this place cannot be patched.")
        if step.name == "copy" and member == "from":
            continue  # it is only read
        if rules.read_only and not pointer.parts:
            raise step.error(member, "the whole object holds read-only fields; name a field.")
        if pointer.parts and pointer.parts[0] in rules.read_only:
            raise step.error(member, f"`{pointer.parts[0]}` is read-only.")


def _apply(step: _Operation, document: Any) -> Any:
    try:
        return JsonPatch([step.plain()]).apply(document, in_place=True)
    except JsonPatchTestFailed:
        # `from None` here and below: the library's messages repeat values of the document.
        message = f"Operation {step.index} (`test`) found another value, or none."
        raise PatchTestError(message, at=Parameter("body", json_pointer([step.index]))) from None
    except (JsonPatchException, JsonPointerException):
        raise step.error("path", "the object has no such place for it.") from None


@dataclasses.dataclass(frozen=True, slots=True)
class _Size:
    nodes: int
    depth: int
    bytes: int


def _measure(value: Any) -> _Size:
    nodes, depth, level = 0, 0, [value]
    while level:
        nodes += len(level)
        containers = [item for item in level if type(item) in (dict, list)]
        depth += bool(containers)
        level = [child for item in containers for child in (item.values() if type(item) is dict else item)]
    return _Size(nodes, depth, len(orjson.dumps(value)))


class _Budget:
    """What a patch may cost.

    All that its operations bring in or compare is charged before each is done and limited in sum,
    so that the work is that of a few documents and no step can more than add one document's worth.
    After each step the document must be within the limits, or no larger than it was. Its size is
    followed from above and measured only when that comes near: removals are not counted.
    """

    def __init__(self, size: _Size) -> None:
        self.nodes, self.bytes = size.nodes, size.bytes
        self.most_nodes, self.most_bytes = max(MAX_NODES, size.nodes), max(MAX_BYTES, size.bytes)
        self.charged_nodes, self.charged_bytes = 0, 0

    def charge(self, step: _Operation, document: Any) -> None:
        if step.name == "remove":
            return
        brought = _measure(_brought_value(step, document))
        self.charged_nodes += brought.nodes
        self.charged_bytes += brought.bytes
        if self.charged_nodes > MAX_NODES or self.charged_bytes > MAX_BYTES:
            raise step.error("", "split the patch: it adds, copies, moves and compares too much in sum.")
        if step.name == "test":
            return
        if len(step.path.parts) + brought.depth > MAX_DEPTH:
            raise step.error("path", f"it would nest deeper than {MAX_DEPTH}.")
        self.nodes += brought.nodes
        self.bytes += brought.bytes + len(orjson.dumps(step.path.path)) + 2  # the name, `:` and `,`

    def settle(self, step: _Operation, document: Any) -> None:
        if self.nodes <= self.most_nodes and self.bytes <= self.most_bytes:
            return
        size = _measure(document)
        self.nodes, self.bytes = size.nodes, size.bytes
        if self.nodes > self.most_nodes or self.bytes > self.most_bytes:
            raise step.error("", f"the object would exceed {MAX_BYTES:,} bytes or {MAX_NODES:,} values.")


def _brought_value(step: _Operation, document: Any) -> Any:
    if step.source is None:
        return step.value
    value = step.source.resolve(document, ABSENT)
    if value is ABSENT or isinstance(value, EndOfList):
        raise step.error("from", "the object has nothing there.")
    return value
