"""Reading definitions of custom providers: their schema, and the rules that a schema cannot say."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from catalog.members import without_nulls
from catalog.validation import MAX_ERRORS, ConfigError, find_errors
from core.documents import DocumentError, read_yaml
from core.errors import ProblemError
from core.late import LateModule
from core.outbound.client import HEADER_NAME, OWN_HEADERS
from core.outbound.destination import parse_url
from core.parsing import json_pointer

if TYPE_CHECKING:
    import jsonschema_rs
else:
    jsonschema_rs = LateModule("jsonschema_rs")

DEFAULT = "default"  # the endpoint that `base_url` and `auth` at the top are
NAMED = ("endpoints", "tags", "operations")
SECRETS = {  # what a credential of each type holds
    "token": {"secret"},
    "secret": {"secret"},
    "basic": {"username", "secret"},
    "o_auth_client": {"client_id", "client_secret"},
}
NEEDED = {  # members that each style of paging needs
    "page": ("parameter",),
    "offset": ("parameter",),
    "cursor": ("parameter", "at"),
    "url": ("at",),
    "link": (),
}
SCHEDULE_INPUTS = {"since", "until", "since_unix", "until_unix"}  # what a schedule gives an operation
PLACEHOLDER = re.compile(r"\{(?P<root>tags|input|secret|config)\.(?P<name>[A-Za-z0-9_.-]*)(?P<steps>/)?\}")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
Definition = Mapping[str, Any]


@functools.cache
def read_schema() -> dict[str, Any]:
    """The JSON Schema of definitions, as it is published."""
    schema: dict[str, Any] = orjson.loads(Path(__file__).with_name("definition.json").read_bytes())
    return schema


@functools.cache
def _validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(read_schema())


def read_definition(text: str) -> tuple[dict[str, Any], list[ConfigError]]:
    """A definition, and what is wrong with it, each at its place."""
    definition = read_yaml(text)
    if not isinstance(definition, dict):
        raise DocumentError("the document must be an object: a definition of a provider")
    errors = _first(_misnamed(definition)) or find_errors(_validator(), read_schema(), definition)
    if errors:
        return definition, errors
    present = _present(definition)
    return present, _first(_find_flaws(present))


def _present(definition: Definition) -> dict[str, Any]:
    """A definition without nulls, which count as absent, but in bodies: there they are sent."""
    present: dict[str, Any] = without_nulls(definition)
    for name, operation in present["operations"].items():
        if "body" in operation:
            operation["body"] = definition["operations"][name]["body"]
    return present


def _first(errors: Iterator[ConfigError]) -> list[ConfigError]:
    return list(itertools.islice(errors, MAX_ERRORS))


def endpoints_of(definition: Definition) -> dict[str, Any]:
    """The endpoints of a definition by name, the one at the top included."""
    top = {name: definition[name] for name in ("base_url", "auth") if name in definition}
    return {**({DEFAULT: top} if top else {}), **definition.get("endpoints", {})}


def scheduled_of(definition: Definition) -> dict[str, str]:
    """The operations that can be read on a schedule: their names in the definition, by what they are scheduled as."""
    operations = definition["operations"].items()
    return {each["schedule"]["as"]: name for name, each in operations if "schedule" in each}


def _misnamed(definition: Definition) -> Iterator[ConfigError]:
    for part in NAMED:
        members = definition.get(part)
        for name in members if isinstance(members, dict) else ():
            if _NAME.match(name) is None:
                yield ConfigError(json_pointer([part, name]), "is not a name: use a to z, 0 to 9 and _, a letter first")


def _find_flaws(definition: Definition) -> Iterator[ConfigError]:
    """What a definition that follows the schema may still get wrong."""
    if DEFAULT in definition.get("endpoints", {}):
        yield ConfigError("/endpoints/default", "is the name of the endpoint that `base_url` and `auth` describe")
    endpoints = endpoints_of(definition)
    if not endpoints:
        yield ConfigError("/base_url", "is required where there are no `endpoints`")
    for name, endpoint in endpoints.items():
        yield from _endpoint_flaws(definition, endpoint, "" if name == DEFAULT else f"/endpoints/{name}")
    for name, operation in definition["operations"].items():
        yield from _operation_flaws(definition, operation, f"/operations/{name}")
        where = operation.get("endpoint", DEFAULT)
        if where not in endpoints:
            yield ConfigError(f"/operations/{name}/endpoint", f"names the endpoint `{where}`, which is not defined")
    yield from _check_flaws(definition)
    yield from _schedule_flaws(definition)


def _endpoint_flaws(definition: Definition, endpoint: Mapping[str, Any], at: str) -> Iterator[ConfigError]:
    for member in ("base_url", "auth"):
        if member not in endpoint:
            yield ConfigError(f"{at}/{member}", "is required: an endpoint has a base URL and a way to sign in")
            return
    yield from _url_flaws(definition, endpoint["base_url"], f"{at}/base_url")
    for kind, scheme in endpoint["auth"].items():
        place = f"{at}/auth/{kind}"
        if scheme["scheme"] in ("header", "query") and "name" not in scheme:
            yield ConfigError(f"{place}/name", "is required: the name of the header or query parameter")
        if scheme["scheme"] == "header" and "name" in scheme:
            yield from _header_flaws(scheme["name"], f"{place}/name")
        if "token_url" in scheme:
            yield from _url_flaws(definition, scheme["token_url"], f"{place}/token_url")
        for pointer, text in texts({name: each for name, each in scheme.items() if name != "token_url"}):
            yield from _placeholder_flaws(definition, text, place + pointer, secrets=SECRETS[kind])


def _url_flaws(definition: Definition, text: str, at: str) -> Iterator[ConfigError]:
    try:
        destination = parse_url(PLACEHOLDER.sub("x", text))
    except ProblemError as error:
        yield ConfigError(at, f"is no URL to call. {error.message}")
        return
    if "?" in destination.target:
        yield ConfigError(at, "must have no query: an operation has its own")
    yield from _placeholder_flaws(definition, text, at)


def _operation_flaws(definition: Definition, operation: Mapping[str, Any], at: str) -> Iterator[ConfigError]:
    if set("?#") & set(operation["path"]):
        yield ConfigError(f"{at}/path", "must have neither query nor fragment: parameters belong in `query`")
    for name in operation.get("headers", {}):
        yield from _header_flaws(name, f"{at}/headers/{name}")
    for part in ("path", "query", "headers", "body"):
        for pointer, text in texts(operation.get(part)):
            yield from _placeholder_flaws(definition, text, f"{at}/{part}{pointer}", inputs=True)
    paging = operation.get("pagination", {})
    for member in NEEDED.get(paging.get("style", ""), ()):
        if member not in paging:
            yield ConfigError(f"{at}/pagination/{member}", f"is required by the style `{paging['style']}`")
    if operation.get("method") in ("GET", "HEAD") and "body" in operation:
        yield ConfigError(f"{at}/body", f"is not sent with {operation['method']}")


def _header_flaws(name: str, at: str) -> Iterator[ConfigError]:
    if HEADER_NAME.match(name) is None or name.lower() in OWN_HEADERS:
        yield ConfigError(at, "is no header that can be set")


def _check_flaws(definition: Definition) -> Iterator[ConfigError]:
    if "check" not in definition:
        return
    operation = definition["operations"].get(definition["check"])
    if operation is None:
        yield ConfigError("/check", "names an operation that is not defined")
    elif any(_has_input(operation.get(part)) for part in ("path", "body")):
        yield ConfigError("/check", "names an operation that needs input, and a check has none")


def _schedule_flaws(definition: Definition) -> Iterator[ConfigError]:
    known = scheduled_of(definition)
    for name, operation in definition["operations"].items():
        if "schedule" not in operation:
            continue
        other = known[operation["schedule"]["as"]]
        if other != name:
            yield ConfigError(f"/operations/{name}/schedule/as", f"is what `{other}` is scheduled as")
        for part in ("path", "body"):
            if missing := sorted(_inputs(operation.get(part)) - SCHEDULE_INPUTS):
                yield ConfigError(
                    f"/operations/{name}/{part}", f"needs {{input.{missing[0]}}}, and a schedule has none"
                )


def _has_input(value: Any) -> bool:
    return bool(_inputs(value))


def _inputs(value: Any) -> set[str]:
    """The inputs that texts in a value name."""
    found = (found for _, text in texts(value) for found in PLACEHOLDER.finditer(text))
    return {each["name"] for each in found if each["root"] == "input"}


def _placeholder_flaws(
    definition: Definition, text: str, at: str, *, secrets: set[str] | None = None, inputs: bool = False
) -> Iterator[ConfigError]:
    for found in PLACEHOLDER.finditer(text):
        root, name = found["root"], found["name"]
        if root == "tags" and name not in definition.get("tags", {}):
            yield ConfigError(at, f"holds {{tags.{name}}}, and there is no such tag in `tags`")
        elif root == "input" and (not inputs or _NAME.match(name) is None):
            yield ConfigError(at, f"holds {{input.{name}}}, which {'is no name' if inputs else 'only operations have'}")
        elif root == "secret" and name not in (secrets or ()):
            held = f"has only {', '.join(sorted(secrets))}" if secrets else "stands in `auth` only"
            yield ConfigError(at, f"holds {{secret.{name}}}, and a secret {held}")
        elif root == "config":
            yield ConfigError(at, f"holds {{config.{name}}}: say {{tags.…}} or {{input.…}}")


def texts(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a value with its place."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, pointer + json_pointer([name]))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from texts(inner, f"{pointer}/{index}")
