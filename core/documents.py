"""Reading YAML documents that a tenant wrote: plain data within the limits of `core.parsing`, and nothing clever."""

from __future__ import annotations

import re
from typing import Any

import yaml

from core.errors import InvalidError, MalformedBodyError, ProblemError
from core.parsing import INT64_MAX, INT64_MIN, MAX_DEPTH, MAX_NODES, check_json, json_pointer, read_json

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is libyaml, thirty times as fast
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?\Z")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class DocumentError(InvalidError):
    """A YAML document cannot be read, or is not what is asked for there.

    Documents are plain data: anchors, aliases, tags, repeated keys and several documents in one text are refused.
    Without quotes `null`, `true`, `false` and numbers as JSON writes them are what they look like; all else, such as
    `no` and `2026-01-31`, is text.
    """

    slug = "invalid-document"
    remedy = "Correct the document at the place that the message names."


def read_yaml(text: str) -> Any:
    """The value of one YAML document; a JSON object is one too."""
    if text.lstrip().startswith("{") and (found := _read_as_json(text)) is not None:
        return found
    loader = None
    try:
        loader = _LOADER(text)  # which refuses characters, if it is not libyaml's
        value = _Builder(loader).document()
        check_json(value)  # what escapes can write: U+0000, half a surrogate pair
    except MalformedBodyError as error:
        raise DocumentError(f"{error.at.id if error.at else 'the document'}: {error.message}") from None
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"the document holds a character that YAML has not, at {error.position}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "its end"
        raise DocumentError(f"the document is no YAML at {place}: {error.problem or error.context}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return value


def _read_as_json(text: str) -> dict[str, Any] | None:
    """A JSON object; None when the text may be YAML all the same, as `{a: 1}` is."""
    try:
        found = read_json(text.encode())
    except ProblemError as error:
        if error.message.startswith("Correct the JSON"):
            return None
        raise DocumentError(f"the document: {error.message}") from None
    return found if isinstance(found, dict) else None


class _Builder:
    """Makes plain values of a parser's events, refusing as it goes: nothing is built that must not be."""

    def __init__(self, events: Any) -> None:
        self.events = events
        self.nodes = 0
        self.path: list[str | int] = []

    def document(self) -> Any:
        self.events.get_event()  # the stream's start
        if self.events.check_event(yaml.StreamEndEvent):
            return None
        self.events.get_event()  # the document's
        value = self.value(self.events.get_event())
        self.events.get_event()  # the document's end
        if not self.events.check_event(yaml.StreamEndEvent):
            raise DocumentError("the text holds more than one document")
        return value

    def value(self, event: Any) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.flaw(event, f"there are more than {MAX_NODES:,} values")
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self.flaw(event, "anchors and aliases are not read: write the value out")
        if event.tag is not None:
            raise self.flaw(event, "tags are not read: leave out the word that begins with !")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        if len(self.path) >= MAX_DEPTH:
            raise self.flaw(event, f"values are nested more than {MAX_DEPTH} deep")
        return self.sequence() if isinstance(event, yaml.SequenceStartEvent) else self.mapping()

    def scalar(self, event: Any) -> Any:
        text = event.value
        if event.style or not event.implicit[0]:  # in quotes, or a block
            return str(text)
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            if len(text) > 20 or not INT64_MIN <= int(text) <= INT64_MAX:
                raise self.flaw(event, "the number does not fit 64 bits: put it in quotes")
            return int(text)
        if _NUMBER.match(text):
            number = float(text)
            if number in (float("inf"), float("-inf")):
                raise self.flaw(event, "the number is too large: put it in quotes")
            return number
        return str(text)

    def sequence(self) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self.events.get_event(), yaml.SequenceEndEvent):
            self.path.append(len(items))
            items.append(self.value(event))
            self.path.pop()
        return items

    def mapping(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := self.events.get_event(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                raise self.flaw(event, "a key must be plain text")
            name = str(event.value)
            self.path.append(name)
            if name in members:
                raise self.flaw(event, "the key is there twice")
            members[name] = self.value(self.events.get_event())
            self.path.pop()
        return members

    def flaw(self, event: Any, message: str) -> DocumentError:
        mark = event.start_mark
        place = json_pointer(self.path)[:200] or "the document"
        return DocumentError(f"{place} (line {mark.line + 1}): {message}")
