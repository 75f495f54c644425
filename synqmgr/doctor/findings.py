"""What the doctor says of one thing."""

from __future__ import annotations

import dataclasses
from typing import Literal

State = Literal["ok", "warning", "failed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing, and what to do about it where it is not well."""

    name: str
    state: State
    found: str
    remedy: str = ""


def ok(name: str, found: str) -> Finding:
    return Finding(name, "ok", found)


def warning(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, "warning", found, remedy)


def failed(name: str, found: str, remedy: str) -> Finding:
    return Finding(name, "failed", found, remedy)
