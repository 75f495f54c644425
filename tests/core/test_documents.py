"""YAML documents: plain data within limits, and a clear word on what is wrong where."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml

from core import documents
from core.documents import DocumentError, read_yaml


@pytest.mark.parametrize(
    "text, value",
    [
        ("a: 1", {"a": 1}),
        ("a: 1.5\nb: -3e2\nc: [true, false, null, ~]\nd:",
         {"a": 1.5, "b": -300.0, "c": [True, False, None, None], "d": None}),
        ("a: 2026-01-31\nb: no\nc: on\nd: 010\ne: 0x1f\nf: 1_000\ng: 12:30:45\nh: .5\ni: .nan",
         {"a": "2026-01-31", "b": "no", "c": "on", "d": "010", "e": "0x1f", "f": "1_000", "g": "12:30:45", "h": ".5",
          "i": ".nan"}),
        ("a: '1'\nb: \"true\"\nc: |\n  x\n  y\n", {"a": "1", "b": "true", "c": "x\ny\n"}),
        ("1: a\nnull: b\ntrue: c", {"1": "a", "null": "b", "true": "c"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ('{"a": "\\ud83d\\ude00", "b": [1, {}]}', {"a": "\U0001f600", "b": [1, {}]}),
        ("{a: b}", {"a": "b"}),
        ("text alone", "text alone"),
        ("# nothing", None),
        ("", None),
    ],
)  # fmt: skip
def test_document__plain_data__is_read_as_it_looks(text: str, value: Any) -> None:
    assert read_yaml(text) == value


def test_document__read_without_libyaml__refuses_characters_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "_LOADER", yaml.SafeLoader)
    assert read_yaml("a: [1, b]") == {"a": [1, "b"]}
    with pytest.raises(DocumentError, match="a character that YAML has not"):
        read_yaml("a: \x01")


@pytest.mark.parametrize(
    "text, said",
    [
        ("a: &x [1]\nb: *x", "/a (line 1): anchors and aliases"),
        ("a: 1\nb:\n  c: 1\n  c: 2", "/b/c (line 4): the key is there twice"),
        ('{"a": 1, "a": 2}', "each member of an object once"),
        ('a: !!python/object/apply:os.system ["ls"]', "/a (line 1): tags"),
        ("a: !x 1", "/a (line 1): tags"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("[1]: 2", "a key must be plain text"),
        ("a: b: c", "no YAML at line 1, column 5"),
        ("a:\n\t- b", "no YAML at line 2"),
        ("a: [1", "no YAML at line"),
        ("a: 9223372036854775808", "/a (line 1): the number does not fit 64 bits"),
        ("a: 1e400", "/a (line 1): the number is too large"),
        ("a: \x01", "a character that YAML has not"),
        ('a: "\\0"', "/a: Leave out the character U+0000"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("[" + "1," * 25_000 + "]", "more than 20,000 values"),
    ],
)
def test_document__anything_else__is_refused_by_place(text: str, said: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read_yaml(text)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "\n".join([f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'x'}]" for i in range(9)]),
        "[" * 65_000,
        "{" * 65_000,
        "- " * 32_000,
        "? " * 32_000,
        "&a " * 20_000,
        "a: " * 20_000,
        "[" + "a," * 32_000,
        '"' + "\\u0041" * 10_000,
        "{" + ",".join(f"k{i}: v" for i in range(6_000)) + "}",
    ],
    ids=range(10),
)
def test_document__hostile__costs_little(text: str) -> None:
    started = time.process_time()
    try:
        read_yaml(text)
    except DocumentError:
        text = ""
    assert time.process_time() - started < 0.3
