"""Filters `field[op]value` applied to objects in memory, with the operators that lists have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import Any

from core.filters import pattern_objection, split_values
from core.instants import read_day_or_instant

OPERATORS = ("eq", "ne", "neq", "in", "not in", "gt", "gte", "lt", "lte", "like", "not like")
_NAME = r"[A-Za-z_]\w*"
_CONDITION = re.compile(
    rf"(?P<field>{_NAME}(?:\.{_NAME}){{0,5}})\[(?P<op>[a-z ]+)\](?P<value>.*)\Z", re.DOTALL | re.ASCII
)
_NEGATED = {"ne": "eq", "neq": "eq", "not in": "in", "not like": "like"}


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """One filter. An object without the field passes the negative operators only."""

    field: str
    op: str
    value: str

    def keeps(self, data: Mapping[str, Any]) -> bool:
        found = value_at(data, self.field)
        positive = _NEGATED.get(self.op, self.op)
        each = found if isinstance(found, list) else [found]
        holds = any(_holds(positive, one, self.value) for one in each if one is not None)
        return holds != (self.op in _NEGATED)


def read_condition(text: str) -> Condition | None:
    """A filter, or None when the text is none."""
    match = _CONDITION.match(text)
    return None if match is None or match["op"] not in OPERATORS else Condition(**match.groupdict())


def objection_to(filters: Iterable[str]) -> str:
    """What speaks against filters that are being set, empty if nothing does. What is stored is read as it is."""
    return next(filter(None, map(_objection_to, filters)), "")


def _objection_to(text: str) -> str:
    read = read_condition(text)
    if read is None:
        return f"the filter {text[:100]!r} is not written `field[operator]value`"
    costly = pattern_objection(read.value) if "like" in read.op else ""
    return f"the filter {text[:100]!r} {costly}" if costly else ""


def value_at(data: Any, path: str) -> Any:
    """What a dotted path leads to; None if nothing is there."""
    for step in path.split("."):
        data = data.get(step) if isinstance(data, Mapping) else None
    return data


def _holds(op: str, found: Any, value: str) -> bool:
    if op == "in":
        return any(_holds("eq", found, part) for part in split_values(value))
    if op == "like":
        return re.fullmatch(_expression(value), str(found), re.IGNORECASE | re.DOTALL) is not None
    left, right = _comparable(found, value)
    if op == "eq":
        return bool(left == right)
    return bool({"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[op])


def _expression(pattern: str) -> str:
    """A pattern of `like`. What stands between two wildcards is looked for once, since the first place is as good as
    any later one: to try them all takes hours, in which no other thread of the process runs."""
    first, *rest = map(re.escape, re.split(r"[%*]", pattern))
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + "".join(f".*{part}" for part in rest[-1:])


def _comparable(found: Any, value: str) -> tuple[Any, Any]:
    """Both as numbers, as times, or else as text."""
    if isinstance(found, bool):
        return str(found).lower(), value
    if isinstance(found, int | float):
        try:
            return found, float(value)
        except ValueError:
            return str(found), value
    moments = read_day_or_instant(str(found)), read_day_or_instant(value)
    return moments if None not in moments else (str(found), value)
