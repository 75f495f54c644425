"""What is wrong with a configuration, said by pointer and without repeating what may be secret."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from catalog.members import MAX_DEPTH, Schema, TooDeepError, walk, without_nulls
from core.parsing import json_pointer

if TYPE_CHECKING:
    import jsonschema_rs

MAX_ERRORS = 50
URL_MESSAGE = "must be an http or https URL without user name, password or fragment"
TYPE_NAMES = {
    "integer": "a whole number",
    "object": "an object",
    "array": "a list",
    "boolean": "true or false",
}
# An error of another kind may come from a value in the wrong place, which could be anything.
ECHOED = frozenset({"const", "enum", "format", "minimum", "maximum", "minLength", "pattern"})


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigError:
    """One rule that a configuration breaks. `message` reads after the pointer: "is required"."""

    pointer: str
    message: str
    value_is_secret: bool = True


def find_errors(validator: jsonschema_rs.Draft202012Validator, schema: Schema, config: Any) -> list[ConfigError]:
    """The errors of a configuration, each once and at most 50. Null counts as absent."""
    if not isinstance(config, dict):
        return [ConfigError("", "must be an object")]
    try:
        present = without_nulls(config)
        oversized = _find_oversized(schema, present)
        if oversized is not None:
            return [oversized]
        raw = list(validator.iter_errors(present))
    except TooDeepError:
        return [ConfigError("", f"must not be nested more than {MAX_DEPTH} levels deep")]
    except (ValueError, TypeError):  # what JSON does not know: a lone surrogate, a name that is no text
        return [ConfigError("", "must be JSON in UTF-8")]
    found: dict[tuple[str, str], ConfigError] = {}
    for error in (explained for each in raw for explained in _explain(each, present)):
        found.setdefault((error.pointer, error.message), error)
        if len(found) == MAX_ERRORS:
            break
    secret = _secret_pointers(schema, present) if found else ()
    return [_hide(error, secret) for error in found.values()]


def _find_oversized(root: Schema, config: Any) -> ConfigError | None:
    """The first list or map with too many entries. Their errors would take seconds to collect."""
    for pointer, schema, value in walk(root, root, config):
        limit = "maxItems" if isinstance(value, list) else "maxProperties"
        if isinstance(value, list | dict) and len(value) > schema.get(limit, len(value)):
            return ConfigError(pointer, MESSAGES[limit]({"limit": schema[limit]}))
    return None


def _secret_pointers(root: Schema, config: Any) -> tuple[str, ...]:
    marks = ("x-credential", "x-secret", "writeOnly")
    return tuple(pointer for pointer, schema, _ in walk(root, root, config) if any(mark in schema for mark in marks))


def _hide(error: ConfigError, secret: Iterable[str]) -> ConfigError:
    inside = any(error.pointer == pointer or error.pointer.startswith(f"{pointer}/") for pointer in secret)
    return dataclasses.replace(error, value_is_secret=True) if inside else error


def _explain(error: jsonschema_rs.ValidationError, config: Any) -> Iterator[ConfigError]:
    pointer = json_pointer(error.instance_path)
    kind = error.kind.as_dict()
    match error.kind.name:
        case "oneOf":
            yield from _explain_union(error, config, pointer)
        case "required":
            yield ConfigError(pointer + json_pointer([kind["property"]]), "is required")
        case "additionalProperties":
            for name in kind["unexpected"]:
                yield ConfigError(pointer + json_pointer([name]), "is not a field of this configuration")
        case "pattern" | "format" if _is_url_rule(kind):
            # A URL that is refused for the password in it is not repeated.
            yield ConfigError(pointer, URL_MESSAGE, value_is_secret="@" in str(_look_up(config, error)))
        case name:
            message = MESSAGES[name](kind) if name in MESSAGES else "is not valid"
            yield ConfigError(pointer, message, value_is_secret=not _is_echoed(name, kind))


def _explain_union(error: jsonschema_rs.ValidationError, config: Any, pointer: str) -> Iterator[ConfigError]:
    """Errors of the one alternative that `type` names, instead of those of all."""
    value = _look_up(config, error)
    if not isinstance(value, dict):
        yield ConfigError(pointer, "must be an object with a `type`")
        return
    where = [*error.instance_path, "type"]
    names = []
    for alternative in error.kind.as_dict()["context"]:
        refused = next((e for e in alternative if e.kind.name == "const" and e.instance_path == where), None)
        if refused is not None:
            names.append(refused.kind.as_dict()["expected_value"])
        elif "type" in value:
            for inner in alternative:
                yield from _explain(inner, config)
            return
    if "type" in value:
        yield ConfigError(f"{pointer}/type", f"must be one of {', '.join(names)}")
    else:
        yield ConfigError(f"{pointer}/type", "is required")


def _look_up(config: Any, error: jsonschema_rs.ValidationError) -> Any:
    for step in error.instance_path:
        config = config[step]
    return config


def _is_url_rule(kind: dict[str, Any]) -> bool:
    return kind.get("format") == "uri" or "://" in str(kind.get("pattern", ""))


def _is_echoed(name: str, kind: dict[str, Any]) -> bool:
    if name == "type":
        return not {"object", "array"} & set(kind["types"])
    return name in ECHOED


def _name_types(kind: dict[str, Any]) -> str:
    return " or ".join(TYPE_NAMES.get(name, f"a {name}") for name in kind["types"])


MESSAGES: dict[str, Callable[[dict[str, Any]], str]] = {
    "type": lambda kind: f"must be {_name_types(kind)}",
    "const": lambda kind: f"must be {kind['expected_value']}",
    "enum": lambda kind: f"must be one of {', '.join(map(str, kind['options']))}",
    "pattern": lambda kind: f"must match {kind['pattern']}",
    "format": lambda kind: f"must be a valid {kind['format']}",
    "minimum": lambda kind: f"must be at least {kind['limit']}",
    "maximum": lambda kind: f"must be at most {kind['limit']}",
    "minLength": lambda kind: "must not be empty",
    "maxLength": lambda kind: f"must be at most {kind['limit']} characters long",
    "maxItems": lambda kind: f"must have at most {kind['limit']} items",
    "maxProperties": lambda kind: f"must have at most {kind['limit']} members",
    "minProperties": lambda kind: f"must have at least {kind['limit']} member",
    "minItems": lambda kind: f"must have at least {kind['limit']} item",
    "propertyNames": lambda kind: "must have names of 1 to 512 characters",
}
