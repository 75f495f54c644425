"""Filling the templates of a check from a configuration and an opened credential.

A value never decides where a request goes unless it is a URL member of the configuration: inside a fixed
address it can only be one label of the host name, one step of the path or one value of the query.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

PLACEHOLDER = re.compile(r"\{(?P<path>(?:config|secret)\.[a-z0-9_.]+)(?P<steps>/)?\}")
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\Z")
Source = str | Mapping[str, Any]


class UnfillableError(Exception):
    """A template needs what the configuration does not hold, or holds in a form that cannot be used."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """What placeholders stand for: `{config.<member>}` and, of one credential, `{secret.<member>}`."""

    config: Mapping[str, Any] = dataclasses.field(repr=False)
    secret: Mapping[str, Any] = dataclasses.field(repr=False)

    def look_up(self, path: str) -> str | None:
        """A value as text; none where it is absent, empty or not a scalar."""
        first, *names = path.split(".")
        value: Any = self.config if first == "config" else self.secret
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        return str(value) or None

    def require(self, path: str) -> str:
        value = self.look_up(path)
        if value is None:
            raise UnfillableError(f"`{path.partition('.')[2]}` is not set")
        return value


def fill(text: str, context: Context, encode: Callable[[str], str] = str) -> str:
    """Replace each placeholder, or raise where one has no value."""

    def replace(match: re.Match[str]) -> str:
        value = context.require(match["path"])
        return "/".join(map(encode, value.split("/"))) if match["steps"] else encode(value)

    return PLACEHOLDER.sub(replace, text)


def fill_path(text: str, context: Context) -> str:
    return fill(text, context, _encode_step)


def fill_tree(node: Any, context: Context) -> Any:
    """A JSON value in which each string is a template."""
    if isinstance(node, str):
        return fill(node, context)
    if isinstance(node, dict):
        return {name: fill_tree(inner, context) for name, inner in node.items()}
    if isinstance(node, list):
        return [fill_tree(inner, context) for inner in node]
    return node


def _encode_step(value: str) -> str:
    if value in {"", ".", ".."}:  # dots survive percent-encoding and would climb the path
        raise UnfillableError("a value in the path is empty or made of dots")
    return quote(value, safe="")


def _encode_label(value: str) -> str:
    if LABEL.match(value) is None:
        raise UnfillableError("a value in the host name is not a DNS label")
    return value


def choose(sources: Sequence[Source], context: Context) -> str | None:
    """The first source that yields an address or another text; see docs/providers.md for their forms."""
    for source in sources:
        found = _read_source(source, context)
        if found is not None:
            return found
    return None


def choose_parameter(sources: Sequence[Source], context: Context) -> str | None:
    """The first source that yields the value of a parameter, whose templates are filled as they are."""
    for source in sources:
        found = _fill_whole(source, context) if isinstance(source, str) else _read_source(source, context)
        if found is not None:
            return found
    return None


def _fill_whole(template: str, context: Context) -> str | None:
    whole = PLACEHOLDER.fullmatch(template)
    return fill(template, context) if whole is None else context.look_up(whole["path"])


def _read_source(source: Source, context: Context) -> str | None:
    if not isinstance(source, str):
        value = context.look_up(source["member"])
        return source.get("missing") if value is None else _read_member(source, value, context)
    whole = PLACEHOLDER.fullmatch(source)
    if whole is None:
        return fill(source, context, _encode_label)
    value = context.look_up(whole["path"])
    return None if value is None else _clean_url(value)


def _read_member(source: Mapping[str, Any], value: str, context: Context) -> str | None:
    if "values" in source:
        return _choose_listed(source["values"].get(value), context)
    if "hosts" in source:
        return _choose_listed(_find_host(source["hosts"], value), context)
    if "append" in source:
        url = _clean_url(value)
        return url if url.endswith(source["append"]) else url + str(source["append"])
    return _clean_url(value) if source.get("url") and "://" in value else None


def _choose_listed(source: str | None, context: Context) -> str | None:
    return None if source is None else _read_source(source, context)


def _find_host(hosts: Mapping[str, str], url: str) -> str | None:
    """What is listed for the URL's host or a domain above it, the first match first."""
    host = read_host(url).partition(":")[0].lower()
    return next((text for name, text in hosts.items() if host == name or host.endswith(f".{name}")), None)


def _clean_url(value: str) -> str:
    if re.match(r"https?://", value) is None or "?" in value or "#" in value:
        raise UnfillableError("the address must be an http or https URL without query")
    read_host(value)
    return value.rstrip("/")


def read_host(url: str) -> str:
    """The host of a URL, with its port where it has one."""
    try:
        return urlsplit(url).netloc
    except ValueError as error:
        raise UnfillableError("the address is not a URL") from error
