"""Reading JSON: the one strict reader and the limits it keeps."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson

from core.errors import MalformedBodyError, Parameter, TooLargeError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_TEXT = 64 * 1024
MAX_POINTER = 512
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

Location = Literal["body", "query", "path", "header"]

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_LONG_INTEGER = re.compile(r"(?<![0-9.eE+-])-?+[0-9]{19,}+(?![.eE])")

_DEPTH = f"Nest arrays and objects at most {MAX_DEPTH} deep."
_NODES = f"Send at most {MAX_NODES:,} values."
_INTEGER = "Send an integer between -2^63 and 2^63 - 1, or the number as a string."


class _FlawError(Exception):
    """A limit is broken; `parts` leads from where it was found up to the root."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.parts: list[str | int] = []


class _Flaw:
    """Stands in a tree for a value that must not be there."""

    def __init__(self, message: str) -> None:
        self.message = message


def json_pointer(parts: Iterable[str | int]) -> str:
    """A JSON Pointer (RFC 6901) from its unescaped parts."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def pointer_steps(pointer: str) -> list[str]:
    """The unescaped parts of a JSON Pointer."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def value_at(body: Any, pointer: str) -> Any:
    """The value at a JSON Pointer; None where there is none."""
    for name in pointer_steps(pointer):
        if isinstance(body, Mapping):
            body = body.get(name)
        elif isinstance(body, list) and name.isascii() and name.isdigit() and len(name) < 9 and int(name) < len(body):
            body = body[int(name)]
        else:
            return None
    return body


def read_json(raw: bytes, *, where: Location = "body", limit: int = MAX_BYTES) -> Any:
    """The value of one strict JSON text; what is refused and why is in docs/parsing.md."""
    if len(raw) > limit:
        raise TooLargeError(too_large(limit), at=Parameter(where, ""))
    text = _decode(raw, where)
    if _has_many_nodes(text):
        raise MalformedBodyError(_NODES, at=Parameter(where, ""))
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"Correct the JSON at line {error.lineno}, column {error.colno}: {error.msg}."
        # `from None`: the parser's error carries the whole text, which may hold secrets.
        raise MalformedBodyError(message, at=Parameter(where, "")) from None
    if _is_lossy(text, _walk(value, where)):
        _check_literally(text, where)
    return value


def check_json(value: Any, *, where: Location = "body") -> None:
    """Hold an already parsed value to the reader's limits; TypeError for what is no JSON type."""
    _walk(value, where)


def _walk(value: Any, where: Location) -> _Walk:
    walk = _Walk()
    try:
        walk.visit(value, 0)
    except _FlawError as flaw:
        raise _malformed(flaw, where) from None
    return walk


def _decode(raw: bytes, where: Location) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        message = f"Send UTF-8: byte {error.start} (counted from 0) begins no character."
        raise MalformedBodyError(message, at=Parameter(where, "")) from None
    if text.startswith("\ufeff"):
        raise MalformedBodyError("Leave out the byte order mark.", at=Parameter(where, ""))
    return text


def too_large(limit: int) -> str:
    return f"Send at most {limit:,} bytes."


def _malformed(flaw: _FlawError, where: Location) -> MalformedBodyError:
    """The error at the flaw's place, or at the nearest place above it whose pointer is of sane length."""
    pointer = ""
    for part in reversed(flaw.parts):
        longer = pointer + json_pointer([part])
        if len(longer) > MAX_POINTER:
            break
        pointer = longer
    return MalformedBodyError(str(flaw), at=Parameter(where, pointer))


class _Walk:
    """One pass over a parsed value."""

    def __init__(self) -> None:
        self.nodes = 1
        self.members = 0
        self.has_wide_float = False

    def visit(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            _check_text(value)
        elif kind is dict or kind is list:
            self._visit_members(value, depth + 1)
        elif kind is int:
            if not INT64_MIN <= value <= INT64_MAX:
                raise _FlawError(_INTEGER)
        elif kind is float:
            self._visit_float(value)
        elif kind is _Flaw:
            raise _FlawError(value.message)
        elif value is not None and kind is not bool:
            raise TypeError(f"{kind.__name__} is not a JSON type")

    def _visit_float(self, value: float) -> None:
        if not math.isfinite(value):
            raise _FlawError("Send a finite number.")
        if abs(value) >= 2**63:
            self.has_wide_float = True

    def _visit_members(self, value: Any, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _FlawError(_DEPTH)
        self.nodes += len(value)
        if self.nodes > MAX_NODES:
            raise _FlawError(_NODES)
        is_object = type(value) is dict
        if is_object:
            self.members += len(value)
            for key in value:
                _check_text(key)
        for part, child in value.items() if is_object else enumerate(value):
            try:
                self.visit(child, depth)
            except _FlawError as flaw:
                flaw.parts.append(part)
                raise


def _check_text(text: str) -> None:
    if "\0" in text:
        raise _FlawError("Leave out the character U+0000.")
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError:
            raise _FlawError("Leave out surrogates that form no pair.") from None
    if size > MAX_TEXT:
        raise _FlawError("Send strings and member names of at most 64 KiB in UTF-8.")


def _has_many_nodes(text: str) -> bool:
    """Whether the text surely has too many values: told without building them, which would cost most."""
    if text.count("[") + text.count("{") + text.count(",") <= MAX_NODES:
        return False
    bare = _STRING.sub("", text)
    return bare.count("[") + bare.count("{") > MAX_NODES or bare.count(",") >= MAX_NODES


def _is_lossy(text: str, walk: _Walk) -> bool:
    """Whether orjson lost something: it keeps the last of equal names and rounds long integers, silently.

    Outside of strings a valid text has one colon for each member.
    """
    if text.count(":") == walk.members and not walk.has_wide_float:
        return False
    bare = _STRING.sub("", text)
    return bare.count(":") != walk.members or _LONG_INTEGER.search(bare) is not None


def _check_literally(text: str, where: Location) -> None:
    """Refuse repeated names and integers beyond 64 bits at their place.

    The text is known to be valid JSON. Hooks leave a mark in the tree, the walk then knows where it is.
    """

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            _mark_repeated(pairs, members)
        return members

    def read_integer(literal: str) -> Any:
        fits = len(literal) < 19 or INT64_MIN <= int(literal) <= INT64_MAX
        return 0 if fits else _Flaw(_INTEGER)

    # The standard library recurses, and what orjson dropped was not walked.
    brackets = _BRACKET.findall(_STRING.sub("", text))
    if max(itertools.accumulate(1 if bracket in "[{" else -1 for bracket in brackets)) > MAX_DEPTH:
        raise MalformedBodyError(_DEPTH, at=Parameter(where, ""))
    # Floats are good already, and `len` is the cheapest thing to make of them.
    _walk(json.loads(text, object_pairs_hook=read_object, parse_int=read_integer, parse_float=len), where)


def _mark_repeated(pairs: list[tuple[str, Any]], members: dict[str, Any]) -> None:
    seen = set()
    for name, _ in pairs:
        if name in seen:
            members[name] = _Flaw("Send each member of an object once.")
            return
        seen.add(name)
