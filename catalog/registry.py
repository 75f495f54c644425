"""The catalog as data: every provider and connector, read once from the files beside this module."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from catalog.members import CredentialMember, find_credentials
from catalog.validation import ConfigError, find_errors
from core.late import LateModule

if TYPE_CHECKING:
    import jsonschema_rs
else:
    jsonschema_rs = LateModule("jsonschema_rs")  # 3 MiB, for who makes integrations

ROOT = Path(__file__).resolve().parent
FORMS = "../../schemas/credentials.json#/$defs/"  # how a provider's file refers to the shared forms


@dataclasses.dataclass(frozen=True, eq=False)
class Provider:
    """What can be connected: a type of configuration and how it is validated and checked.

    `check` says how `catalog.verify` makes sure that a configuration works; `definition` is the schema as it
    stands in the file, `schema` the same with the shared forms inside. Neither may be changed.
    """

    id: str
    fullname: str
    vendor: str
    description: str
    connector_id: str
    availability: str
    environments: tuple[str, ...]
    check: Mapping[str, Any] = dataclasses.field(repr=False)
    definition: Mapping[str, Any] = dataclasses.field(repr=False)

    @functools.cached_property
    def schema(self) -> dict[str, Any]:
        """The self-contained JSON Schema (draft 2020-12) of a configuration."""
        names: list[str] = []
        schema: dict[str, Any] = _localize(self.definition, names)
        if names:
            forms = _read_forms()
            schema["$defs"] = {name: forms[name] for name in dict.fromkeys(names)}
        return schema

    @property
    def is_mock(self) -> bool:
        return bool(self.check["kind"] == "mock")

    @functools.cached_property
    def has_fixed_address(self) -> bool:
        """Whether no member of a configuration can choose the host that its credentials are sent to."""
        chosen = any(
            {"url", "append", "hosts"} & source.keys()
            for source in self.check.get("base", ())
            if isinstance(source, dict)
        )
        return not chosen and not _takes_address(self.schema, any_text=self.check["kind"] == "none")

    def validate(self, config: Any) -> list[ConfigError]:
        """What is wrong with a configuration, `type` included. Members that are null count as absent."""
        return find_errors(self._validator, self.schema, config)

    def credential_members(self, config: Any) -> list[CredentialMember]:
        """The credentials in a configuration, at any depth. A member that is absent is not listed."""
        return find_credentials(self.schema, config)

    @functools.cached_property
    def _validator(self) -> jsonschema_rs.Draft202012Validator:
        return jsonschema_rs.Draft202012Validator(self.schema, validate_formats=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Connector:
    """A category of providers with the operations that its API names."""

    id: str
    fullname: str
    description: str
    availability: str
    operations: tuple[str, ...]

    @property
    def provider_ids(self) -> tuple[str, ...]:
        return _read_provider_ids()[self.id]


def get_provider(type_: str) -> Provider | None:
    """The provider of a configuration's `type`."""
    return _read_providers().get(type_)


def list_providers() -> tuple[Provider, ...]:
    """Every provider in the order of its id."""
    return tuple(_read_providers().values())


def get_connector(connector_id: str) -> Connector | None:
    return _read_connectors().get(connector_id)


def list_connectors() -> tuple[Connector, ...]:
    """Every connector in the order of its id."""
    return tuple(_read_connectors().values())


def _takes_address(schema: Any, *, any_text: bool) -> bool:
    """Whether a schema has a URL that is free to choose outside its credentials; or any text, which may become one."""
    if isinstance(schema, list):
        return any(_takes_address(inner, any_text=any_text) for inner in schema)
    if not isinstance(schema, dict) or "x-credential" in schema:
        return False
    is_address = schema.get("format") == "uri" or (any_text and schema.get("type") == "string")
    if is_address and "enum" not in schema and "const" not in schema:
        return True
    return any(_takes_address(inner, any_text=any_text) for name, inner in schema.items() if name != "$defs")


@functools.cache
def _read_providers() -> dict[str, Provider]:
    return {path.parent.name: _read_provider(path) for path in sorted(ROOT.glob("providers/*/provider.json"))}


def _read_provider(path: Path) -> Provider:
    data = orjson.loads(path.read_bytes())
    return Provider(
        id=data["id"],
        fullname=data["fullname"],
        vendor=data["vendor"],
        description=data["description"],
        connector_id=data["connector"],
        availability=data["release"]["availability"],
        environments=tuple(data["release"]["environments"]),
        check=data["check"],
        definition=data["config"],
    )


@functools.cache
def _read_connectors() -> dict[str, Connector]:
    entries = orjson.loads((ROOT / "connectors.json").read_bytes())
    return {entry["id"]: Connector(**entry | {"operations": tuple(entry["operations"])}) for entry in entries}


@functools.cache
def _read_provider_ids() -> dict[str, tuple[str, ...]]:
    providers = list_providers()
    return {
        connector: tuple(provider.id for provider in providers if provider.connector_id == connector)
        for connector in _read_connectors()
    }


@functools.cache
def _read_forms() -> dict[str, Any]:
    forms: dict[str, Any] = orjson.loads((ROOT / "schemas" / "credentials.json").read_bytes())["$defs"]
    return forms


def _localize(node: Any, names: list[str]) -> Any:
    """A copy in which references to the shared forms point into the schema itself; `names` collects them."""
    if isinstance(node, dict):
        reference = node.get("$ref", "")
        if reference.startswith(FORMS):
            names.append(reference.removeprefix(FORMS))
            return {"$ref": f"#/$defs/{names[-1]}"}
        return {name: _localize(inner, names) for name, inner in node.items()}
    if isinstance(node, list):
        return [_localize(inner, names) for inner in node]
    return node
