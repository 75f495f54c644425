"""The strict JSON reader: what it takes, what it refuses and where, and what that may cost."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
from typing import Any
from unittest.mock import Mock

import orjson
import pytest
from django.http import UnreadablePostError
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from core.errors import MalformedBodyError, ProblemError, TooLargeError
from core.parsers import EMPTY, StrictJSONParser
from core.parsing import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_TEXT,
    check_json,
    json_pointer,
    read_json,
)
from core.views import ScopedViewSet

Spelling = tuple[str, Any, bool]  # a text, its value, whether a name is repeated in it


def refusal(raw: bytes) -> tuple[type[ProblemError], str]:
    with pytest.raises(ProblemError) as caught:
        read_json(raw)
    assert caught.value.at is not None
    assert caught.value.at.location == "body"
    return type(caught.value), caught.value.at.id


def shape(value: Any) -> Any:
    """The value with its types, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {key: shape(child) for key, child in value.items()}
    if isinstance(value, list):
        return [shape(child) for child in value]
    return type(value).__name__, value


VALID = [
    *rb"""[] {} [[]] {"a":[]} [1,null,true,false] {"a":1,"b":2} {"":0} {"a":{"a":{"a":1}}} [{"a":1},{"a":2}]
    {"a":1,"A":2} {"__proto__":1,"constructor":2} null true false 42 "x" "" [0] [-0] [-1] [123] [1.5] [-0.0]
    [1E22] [1e+2] [1E-2] [0e1] [0E+0] [123.456e78] [-0.00000000000000000000000000000000001] [1e-999]
    [1.7976931348623157e308] [9223372036854775807] [-9223372036854775808] [9223372036854775808.0]
    [18446744073709551616e0] [1e19,9223372036854775807] [0.12345678901234567890123] ["/*x*/"] ["[{,:}]"]
    ["\"\\\/\b\f\n\r\t"] ["\u0041\u00e9\u20aC"] ["\ud83d\ude00"] ["\\u0000"] ["\u0001\u001f"] ["\\\\"]
    ["\uFDD0\uFFFE\uFFFF"] ["a\ufeffb"] {"a:b":"c:d"} {"\u003a":1,"a":":"}""".split(),
    *b' [1] |[1]\n|[[] ]|\t\r\n {\t} \r\n|["\x7f"]|[" // #"]'.split(b"|"),
    *'["😀é€"]|["\u2028\u2029"]|["\U0010ffff"]'.encode().split(b"|"),
]
NOT_JSON = [
    *rb"""[][] [1]x {}} []] {}# ] [ [1 [1, [1,] [,1] [1,,2] [,] [1:2] [} (1) { {"a" {"a": {"a":1 {"a":1,
    {"a":1,} {"a":1,,"b":2} {"a","b"} {a:1} {1:1} {null:1} {'a':1} {:"a"} {"a"::1} {[]:1} nul True NULL NaN
    -NaN Infinity -Infinity undefined truefalse [01] [-01] [00] [+1] [-] [--1] [.5] [1.] [1.e1] [1e] [1e+]
    [1e1.5] [0x1F] [1_000] [1a] [1e400] [-1e400] " ["a] ["a\"] ['a'] ["\x41"] ["\a"] ["\u12"] ["\u12G4"] ["\"
    ["\U0041"] ["\ud800"] ["\udc00"] ["\udc00\ud800"] ["\ud800\ud800"] ["\ud800x"] ["\ud800\n"]
    {"\ud800":1}""".split(),
    *b'| |1 2|[1 2]|{"a" 1}|{"a":1 "b":2}|[1 000]|[1] // one|[/* */1]|[1]\x00|\x00[1]|[\x0c1]'.split(b"|"),
    *b'["\n"]|["\t"]|["\x00"]|["\x1f"]|["\\\n"]|["\xff"]|["\xc0\xaf"]|["\xe0\x80\x80"]|["\x80"]'.split(b"|"),
    *b'["\xf4\x90\x80\x80"]|["\xed\xa0\x80"]|["\xe9"]|\xef\xbb\xbf{}|\xef\xbb\xbf|[\xc2\xa01]'.split(b"|"),
    *b'\xff\xfe[\x001\x00]\x00|[\x001\x00]\x00|["\xe2\x82"]|[\xe2\x81\xa01]|[\xef\xbc\x911]|[\x0b1]'.split(b"|"),
]
MISPLACED = [
    (rb'{"a":1,"a":1}', "/a"),
    (rb'{"a":1,"\u0061":2}', "/a"),
    (rb'{"x":[{"a":":","b":{"c":1,"c":{}}}]}', "/x/0/b/c"),
    (rb'{"a/b":{"m~n":1,"m~n":2}}', "/a~1b/m~0n"),
    (rb'{"\u003a":1,":":2}', "/:"),
    (rb'["x",9223372036854775808]', "/1"),
    (rb'{"n":18446744073709551616}', "/n"),
    (rb'{"n":[-9223372036854775809]}', "/n/0"),
    (rb'{"s":"a\u0000b"}', "/s"),
    (rb'{"a":{"b\u0000":{"c":1}}}', "/a"),
]


def test_cases__known_classes__are_all_there() -> None:
    assert (len(VALID), len(NOT_JSON), len(MISPLACED)) == (59, 107, 10)


@pytest.mark.parametrize("raw", VALID)
def test_read_json__valid_text__reads_as_the_standard_library_does(raw: bytes) -> None:
    assert shape(read_json(raw)) == shape(json.loads(raw))


@pytest.mark.parametrize("raw, pointer", [*((raw, "") for raw in NOT_JSON), *MISPLACED])
def test_read_json__refused_text__names_the_place(raw: bytes, pointer: str) -> None:
    assert refusal(raw) == (MalformedBodyError, pointer)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "open arrays": (b"[" * MAX_BYTES, ""),
    "open objects": (b'{"a":' * 50_000, ""),
    "deep, closed": (b"[" * 1000 + b"]" * 1000, "/0" * 32),
    "deep in a dropped member": (b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"a":1}', ""),
    "long integer": (b"1" * MAX_BYTES, ""),
    "many numbers": (b"[" + b"1," * 131_000 + b"1]", ""),
    "many nested arrays": (b"[" + b"[[]]," * 52_000 + b"1]", ""),
    "many strings": (b"[" + b'"",' * 87_000 + b"1]", ""),
    "many equal names": (b"{" + b'"a":1,' * 43_000 + b'"a":1}', ""),
    "equal names within bounds": (b"{" + b'"a":1,' * 19_000 + b'"a":1}', "/a"),
    "objects in a dropped member": (b'{"a":[' + b'{"":[]},' * 9_000 + b'{}],"a":1}', "/a"),
    "unterminated strings": (b'["' + b'\\"' * 131_000, ""),
    "commas and open strings": (b',"' * 131_000, ""),
    "long string": (b'["' + b"\\n" * 70_000 + b'"]', "/0"),
    "long name": (b'{"a":{"' + b"k" * 70_000 + b'":1}}', "/a"),
    "long pointer": (b'{"a":{"' + b"k" * 60_000 + b'":{"b":"\\u0000"}}}', "/a"),
    "last byte is no UTF-8": (b'"' + b"a" * 200_000 + b'\xff"', ""),
    "noise": (bytes(range(256)) * 1024, ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_read_json__hostile_body__has_one_answer_within_the_memory_budget(name: str) -> None:
    raw, pointer = HOSTILE[name]
    tracemalloc.start()
    try:
        answer = refusal(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer == (MalformedBodyError, pointer)
    assert peak < 4 * 2**20


@pytest.mark.parametrize(
    "fits, exceeds",
    [
        (b" " * (MAX_BYTES - 1) + b"1", b" " * MAX_BYTES + b"1"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)),
        (orjson.dumps([1] * (MAX_NODES - 1)), orjson.dumps([1] * MAX_NODES)),
        (orjson.dumps([{}] * (MAX_NODES - 1)), orjson.dumps([{}] * MAX_NODES)),
        (orjson.dumps("a" * MAX_TEXT), orjson.dumps("a" * (MAX_TEXT + 1))),
        (orjson.dumps("é" * (MAX_TEXT // 2)), orjson.dumps("é" * (MAX_TEXT // 2) + "a")),
        (orjson.dumps({"a" * MAX_TEXT: 1}), orjson.dumps({"a" * (MAX_TEXT + 1): 1})),
        (orjson.dumps([-(2**63), 2**63 - 1]), orjson.dumps([2**63])),
    ],
    ids=["bytes", "depth", "scalars", "objects", "ascii text", "other text", "name", "integer"],
)
def test_read_json__limit__is_exact(fits: bytes, exceeds: bytes) -> None:
    assert orjson.dumps(read_json(fits)) == fits.strip()
    assert refusal(exceeds)[0] is (TooLargeError if len(exceeds) > MAX_BYTES else MalformedBodyError)


def test_read_json__commas_brackets_and_colons_in_strings__are_not_counted() -> None:
    value = {"a:[{": "[{,:" * 15_000, "b": ['\\":,"' * 1_000, "\\"], ':"': {"::": 1}}
    assert read_json(orjson.dumps(value)) == value


def test_read_json__own_limit_and_place__are_used() -> None:
    assert len(read_json(b'"' + b"a" * 60_000 + b'"' + b" " * MAX_BYTES, limit=2**20)) == 60_000
    with pytest.raises(MalformedBodyError) as caught:
        read_json(b"[1,{]", where="query")
    assert caught.value.at is not None
    assert caught.value.at.location == "query"
    assert caught.value.__suppress_context__  # the parser's own error holds the text


def test_check_json__parsed_value__is_held_to_the_same_limits() -> None:
    check_json({"a": [1, 2.5, None, True, "x"]})
    for value in ([2**63], [float("nan")], ["\ud800"], {"\0": 1}, [1] * MAX_NODES):
        with pytest.raises(MalformedBodyError):
            check_json(value)
    with pytest.raises(TypeError):
        check_json({"a": object()})


def test_json_pointer__parts__are_escaped() -> None:
    assert json_pointer(["a/b", "m~n", 0, ""]) == "/a~1b/m~0n/0/"


def post(body: bytes, content_type: str, **headers: Any) -> ScopedViewSet:
    view = ScopedViewSet()
    view.request, view.action = RequestFactory().post("/", body, content_type=content_type, **headers), "partial_update"
    return view


class CountingStream(io.BytesIO):
    """Counts what is read and gives it in small pieces."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert size >= 0
        chunk = super().read(min(size, 10_000))
        self.taken += len(chunk)
        return chunk


@pytest.mark.parametrize("content_type", ["application/json", "application/json-patch+json"])
def test_parsers__body__is_read_strictly(content_type: str) -> None:
    assert post(b'[{"a": 1}]', content_type).data == [{"a": 1}]
    assert post(b"null", content_type).data is None
    assert post(b"", content_type).data is EMPTY
    with pytest.raises(MalformedBodyError):
        _ = post(b'{"a": 1, "a": 2}', content_type).data


def test_parser__empty_stream__is_no_body() -> None:
    assert StrictJSONParser().parse(io.BytesIO(b"")) is EMPTY


@pytest.mark.parametrize("declared", [str(MAX_BYTES + 1), "9" * 19, "9" * 5000])
def test_parser__declared_too_large__reads_nothing(declared: str) -> None:
    request = RequestFactory().post("/", b"1", content_type="application/json", CONTENT_LENGTH=declared)
    stream = CountingStream(b"1")
    with pytest.raises(TooLargeError):
        StrictJSONParser().parse(stream, parser_context={"request": request})
    assert stream.taken == 0


@pytest.mark.parametrize("declared", ["", "-1", "x", "²"])
def test_parser__no_usable_length__reads_one_byte_more_than_allowed(declared: str) -> None:
    request = RequestFactory().post("/", b"1", content_type="application/json", CONTENT_LENGTH=declared)
    stream = CountingStream(b" " * MAX_BYTES * 3)
    with pytest.raises(TooLargeError):
        StrictJSONParser().parse(stream, parser_context={"request": request})
    assert stream.taken == MAX_BYTES + 1


def test_parser__fewer_bytes_than_declared__is_refused() -> None:
    request = RequestFactory().post("/", b"123", content_type="application/json", CONTENT_LENGTH=5)
    with pytest.raises(MalformedBodyError):
        StrictJSONParser().parse(io.BytesIO(b"123"), parser_context={"request": request})


def test_parser__client_gone__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = CountingStream(b"[")
    monkeypatch.setattr(stream, "read", Mock(side_effect=UnreadablePostError))
    with pytest.raises(MalformedBodyError):
        StrictJSONParser().parse(stream)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
scalars: st.SearchStrategy[Any] = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
scalars |= st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_read_json__allowed_value__comes_back(value: Any) -> None:
    assert shape(read_json(orjson.dumps(value))) == shape(value)


@given(st.binary() | st.text("[]{},:\"\\ud800ae1-.0 tfn'").map(str.encode))
def test_read_json__any_bytes__raises_nothing_but_problems(raw: bytes) -> None:
    with contextlib.suppress(ProblemError):
        read_json(raw)


def spell(text: str, escaped: bool) -> str:
    return '"' + "".join(f"\\u{ord(c):04X}" for c in text) + '"' if escaped else orjson.dumps(text).decode()


def join_array(parts: list[Spelling]) -> Spelling:
    text = "[" + " ,\n".join(part for part, _, _ in parts) + "]"
    return text, [value for _, value, _ in parts], any(repeated for _, _, repeated in parts)


def join_object(parts: list[tuple[str, bool, Spelling]]) -> Spelling:
    text = "{" + ",".join(f"{spell(name, escaped)} :{part[0]}" for name, escaped, part in parts) + "}"
    members = {name: part[1] for name, _, part in parts}
    return text, members, len(members) < len(parts) or any(part[2] for _, _, part in parts)


leaves = st.sampled_from([("1", 1, False), ('":\\u003a"', "::", False), ("1e300", 1e300, False)])
names = st.sampled_from(["a", "b", "c", ":", '"', "::", "{,"])
spellings = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3).map(join_array)
        | st.lists(st.tuples(names, st.booleans(), inner), max_size=3).map(join_object)
    ),
    max_leaves=8,
)


@given(spellings)
def test_read_json__any_spelling__is_refused_only_for_repeated_names(spelling: Spelling) -> None:
    text, value, repeated = spelling
    if repeated:
        refusal(text.encode())
    else:
        assert read_json(text.encode()) == value
