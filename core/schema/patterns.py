"""Regular expressions of the wire, in the dialect that JSON Schema shares with ECMAScript."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms

from core.fields import NAME_PATTERN
from core.filters import IdFilter, InstantFilter, IntegerFilter, WireFilter

ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
NAME = NAME_PATTERN
DURATION = "(?=[0-9])(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,8}s)?"
DURATION_OR_DAYS = DURATION.replace("(?=[0-9])", "(?=[0-9])(?:[0-9]{1,3}d)?")
POINTER = "(?:/(?:[^/~]|~[01])*)*"
_DATE = (
    "(?!0000)[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
)
_CLOCK = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
INSTANT = f"{_DATE}(?:[Tt ]{_CLOCK}:[0-5][0-9](?:[.][0-9]{{1,9}})?(?:[Zz]|[+-]{_CLOCK}))?"  # or a date
_TAG = '(?:W/)?"[!#-+\\--~]*"'
TAGS = f"[*]|{_TAG}(?:, ?{_TAG})*"


def whole(pattern: str) -> str:
    """A pattern that the whole text must match; JSON Schema's own search anywhere."""
    grouped = f"(?:{pattern})" if "|" in pattern else pattern
    return f"^{grouped}$"


def orders(fields: Mapping[str, str]) -> str:
    return whole(rf"(?:{'|'.join(map(re.escape, fields))})(?:\[(?:asc|desc)\])?")


def filters(names: Mapping[str, WireFilter]) -> str:
    """`field[operator]value` for the fields of a FilterSet, those with the same rules together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, declared in names.items():
        for rule in _rules(declared):
            alike.setdefault(rule, []).append(re.escape(name))
    return whole("|".join(rf"(?:{'|'.join(fields)})\[(?:{ops})\]{value}" for (ops, value), fields in alike.items()))


def _rules(declared: WireFilter) -> list[tuple[str, str]]:
    """Alternatives of (operators, value): one value, or for `in` several with commas between them."""
    value = _value(declared)
    spelled = [op for name in declared.operators for op in ((name, "neq") if name == "ne" else (name,))]
    if not value:
        return [("|".join(spelled), r"[\s\S]*\S[\s\S]*" if declared.field.required else r"[\s\S]*")]
    many = [op for op in spelled if op in ("in", "not in")]
    one = [op for op in spelled if op not in many]
    return [("|".join(one), value), ("|".join(many), f"{value}(?:,{value})*")]


def _value(declared: WireFilter) -> str:
    """What a value must look like; nothing for text."""
    if isinstance(declared, IdFilter):
        return ID
    if isinstance(declared, InstantFilter):
        return INSTANT
    if isinstance(declared, IntegerFilter):
        return "-?[0-9]{1,18}"
    field: Any = declared.field
    values: Any = field.choices if isinstance(field, forms.ChoiceField) else ()
    return f"(?:{'|'.join(re.escape(str(value)) for value, _ in values)})" if values else ""
