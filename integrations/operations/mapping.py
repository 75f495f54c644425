"""What the mappings of an integration make of the records of an execution."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from catalog.adapters.interface import Record
from catalog.mappings.services import Chain, find_chain
from core.instants import format_instant
from integrations.mappings import RESOURCES
from integrations.models import Integration

CUSTOM_FIELDS = "custom_fields"  # the member of a record that additional mappings fill
_NONE: Any = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Transformation:
    """What becomes of each record: the chains of an integration one after the other, then its additional mappings.

    Additional mappings read what the provider sent, before any chain; what they find is added to what the chains give.
    """

    chain: Chain | None
    additional: Sequence[dict[str, Any]]

    def apply(self, record: Record) -> Record:
        if self.chain is None and not self.additional:
            return record
        data: dict[str, Any] = dict(record.data)
        if self.chain is not None:
            data = self.chain.apply(data)
        if self.additional:
            data = copy.deepcopy(data)
        for each in self.additional:
            if (value := _value(each, record.data)) is not _NONE:
                _put(data, [CUSTOM_FIELDS, *each["destination"].split(".")], value)
        return dataclasses.replace(record, data=data)


def find_transformation(*, integration: Integration, operation: str) -> Transformation:
    """What an integration makes of the records of an operation, by the versions of its mappings of now."""
    chains = [chain["mappings"] for chain in integration.mappings or [] if operation in chain["operation_ids"]]
    references = [reference for chain in chains for reference in chain]
    resource, action = resource_and_action(operation)
    additional = [
        each
        for each in integration.additional_mappings or []
        if each["resource"] == resource and action in each["actions"]
    ]
    return Transformation(find_chain(references=references) if references else None, additional)


@functools.cache
def resource_and_action(operation: str) -> tuple[str, str]:
    """What an operation acts on, as additional mappings name it, and how; such as `devices` and `query`."""
    _, action, rest = operation.split("_", 2)
    names = (rest, f"{rest}s", rest.replace("_", ""), *rest.split("_"))
    known = (name for name in names if name in RESOURCES)
    ends = (resource for resource in RESOURCES if rest.endswith(resource))
    return next(known, next(ends, "")), action


def _value(mapping: dict[str, Any], data: Any) -> Any:
    """What a mapping copies, as the type that it says; `_NONE` where there is nothing, or nothing of that type."""
    found = mapping["source"]
    if not mapping.get("literal"):
        found = functools.reduce(_step, mapping["source"].split("."), data)
    return found if found is _NONE else _READ[mapping["data_type"]](found)


def _step(value: Any, name: str) -> Any:
    if isinstance(value, list) and name.isascii() and name.isdigit():
        return value[int(name)] if len(name) < 9 and int(name) < len(value) else _NONE
    return value.get(name, _NONE) if isinstance(value, dict) else _NONE


def _put(data: dict[str, Any], path: list[str], value: Any) -> None:
    """Puts a value where a path leads. What stands in its way is no object and stays."""
    *steps, last = path
    for step in steps:
        data = data.setdefault(step, {})
        if not isinstance(data, dict):
            return
    data[last] = value


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else _NONE


def _as_number(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        number = float(value) if isinstance(value, str) and len(value) <= 64 else _NONE
    except ValueError:
        return _NONE
    if number is _NONE or not math.isfinite(number):
        return _NONE
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _as_time(value: Any) -> Any:
    try:
        moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else _NONE
    except ValueError:
        return _NONE
    if moment is _NONE:
        return _NONE
    return format_instant(moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC))


def _as_boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(str(value).lower(), _NONE)


_READ: dict[str, Callable[[Any], Any]] = {
    "string": _as_text,
    "number": _as_number,
    "datetime": _as_time,
    "boolean": _as_boolean,
    "array": lambda value: value if isinstance(value, list) else [value],
    "any": lambda value: value,
}
