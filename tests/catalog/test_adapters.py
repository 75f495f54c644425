"""Adapters: which provider has one, and filters on what they read."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

import catalog
from catalog.adapters import registry
from catalog.adapters.conditions import objection_to, read_condition
from catalog.adapters.interface import ProviderThrottledError
from catalog.registry import Provider, get_provider

OBJECT = {
    "severity": "High",
    "score": 70,
    "is_open": True,
    "modified_time": "2026-11-20T12:00:00.000000Z",
    "device": {"os": {"name": "Ubuntu 24.04"}},
    "tags": ["a", "b,c"],
    "nothing": None,
}


def provider(type_: str) -> Provider:
    found = get_provider(type_)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text, kept",
    [
        ("severity[eq]High", True),
        ("severity[eq]high", False),
        ("severity[ne]low", True),
        ("severity[neq]High", False),
        ("severity[in]low,High", True),
        ("severity[not in]low,High", False),
        ("severity[like]hi*", True),
        ("severity[like]%IG%", True),
        ("severity[like]h.gh", False),
        ("severity[like]*h*h", True),
        ("severity[like]*g*g*", False),
        ("severity[like]h*hi*h", False),
        ("severity[like]", False),
        ("severity[like]**", True),
        ("severity[not like]h*", False),
        ("score[gt]9", True),
        ("score[lte]70", True),
        ("score[lt]70.5", True),
        ("score[gte]abc", False),
        ("is_open[eq]true", True),
        ("modified_time[gt]2026-11-20", True),
        ("modified_time[lt]2026-11-20T13:00:00+02:00", False),
        ("device.os.name[like]ubuntu*", True),
        ("tags[eq]b,c", True),
        ("tags[in]x,b\\,c", True),
        ("tags[ne]a", False),
        ("nothing[eq]x", False),
        ("nothing[ne]x", True),
        ("device.os.name.more[eq]x", False),
        ("other[not in]x", True),
    ],
)
def test_condition__each_operator__keeps_what_lists_would(text: str, kept: bool) -> None:
    condition = read_condition(text)
    assert condition is not None
    assert condition.keeps(OBJECT) == kept


def test_condition__pattern_with_many_places_to_match__is_quick() -> None:
    condition = read_condition("text[like]*a*a*a*ab")
    assert condition is not None
    started = time.thread_time()
    assert not condition.keeps({"text": "a" * 2000})
    assert time.thread_time() - started < 1


@pytest.mark.parametrize("text", ["", "severity", "severity[near]x", "[eq]x", "1[eq]x", "a..b[eq]x"])
def test_condition__malformed__is_refused(text: str) -> None:
    assert objection_to(["a[eq]x", text]) == f"the filter {text!r} is not written `field[operator]value`"


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("a[like]" + "*" * 6, "has more than 5 wildcards"),
        ("a[not like]" + "x" * 101, "is a pattern of more than 100 characters"),
    ],
)
def test_condition__costly__is_refused_for_its_pattern(text: str, wrong: str) -> None:
    assert objection_to([text]) == f"the filter {text[:100]!r} {wrong}"


def test_condition__as_costly_as_may_be__is_taken() -> None:
    assert objection_to(["a[like]" + "*" * 5, "a[like]" + "x" * 100, "a[eq]" + "x" * 101]) == ""


def test_condition__costly_and_stored__is_read_as_ever() -> None:
    """What an operation leaves out must not come because a rule was made later."""
    condition = read_condition("a[not like]" + "x" * 101)
    assert condition is not None
    assert not condition.keeps({"a": "x" * 101})


@pytest.mark.parametrize(
    "type_, has_one",
    [
        ("edr_crowdstrike_mock", True),
        ("siem_mock_siem", True),
        ("edr_crowdstrike", False),
        ("storage_mock_storage", False),
    ],
)
def test_source__of_a_provider__is_there_for_mocks_with_operations(type_: str, has_one: bool) -> None:
    assert (registry.source_of(provider(type_)) is not None) == has_one


def test_source__in_the_folder_of_a_provider__is_found_by_existing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "providers" / "edr_crowdstrike"
    folder.mkdir(parents=True)
    (folder / "adapter.py").write_text('"""Reads."""\n\nSOURCE = "its own"\n')
    monkeypatch.setattr(registry, "ROOT", tmp_path)
    monkeypatch.setattr(catalog, "__path__", [*catalog.__path__, str(tmp_path)])
    try:
        assert str(registry.source_of.__wrapped__(provider("edr_crowdstrike"))) == "its own"
    finally:
        for name in [name for name in sys.modules if name.startswith("catalog.providers")]:
            del sys.modules[name]


@pytest.mark.parametrize("text, seconds", [("30", 30), ("", None), ("soon", None), ("-1", None), ("9" * 20, None)])
def test_throttled__retry_after__is_read_if_it_is_a_number(text: str, seconds: int | None) -> None:
    assert ProviderThrottledError("busy", headers={"Retry-After": text}).seconds == seconds
