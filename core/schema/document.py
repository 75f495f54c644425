"""The document as a whole: its introduction, tags, final component names and examples."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import inflection

from core.schema.declarations import Operation, spaced
from core.schema.examples import Examples
from core.schema.members import REQUEST_OF

Schema = dict[str, Any]
_PREFIX = "#/components/schemas/"


def finish(result: Schema, generator: Any, **_: Any) -> Schema:
    """The last step of generating the schema (a setting names it)."""
    _name_requests(result)
    _add_examples(result)
    result["info"]["description"] = (Path(__file__).parent / "introduction.md").read_text(encoding="utf-8").strip()
    result["tags"] = _tags(generator)
    return result


def _name_requests(result: Schema) -> None:
    """What only requests hold gets its plain name; what is also shown keeps a `Request` behind it."""
    schemas: Schema = result["components"]["schemas"]
    names = {}
    for name, schema in schemas.items():
        plain = schema.pop(REQUEST_OF, name)
        names[name] = name if plain in schemas else plain
    result["components"]["schemas"] = {new: schemas[old] for new, old in sorted((n, o) for o, n in names.items())}
    for holder in _objects(result):
        for key, value in holder.items():
            if isinstance(value, str) and value.startswith(_PREFIX):
                holder[key] = _PREFIX + names[value.removeprefix(_PREFIX)]


def _objects(value: Any) -> Iterator[Schema]:
    """Every object inside a document."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(child)


def _add_examples(result: Schema) -> None:
    examples = Examples(result["components"]["schemas"])
    for path in result["paths"].values():
        for operation in path.values():
            holders = [operation.get("requestBody", {})]
            holders += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
            for holder in holders:
                for content in holder.get("content", {}).values():
                    if "example" not in content and "examples" not in content:
                        content["example"] = examples.of(content["schema"])


def _tags(generator: Any) -> list[Schema]:
    """One tag a group, described by its viewset; of several by the one that is named like the group."""
    texts: dict[str, str] = {}
    for path, _regex, method, view in generator._get_paths_and_endpoints():
        group = Operation(view, path, method).group
        words = spaced(type(view).__name__.removesuffix("ViewSet"))
        if group not in texts or group.replace("_", " ") in (words, inflection.pluralize(words)):
            texts[group] = inspect.getdoc(type(view)) or ""
    return [{"name": group, "description": text} for group, text in texts.items()]
