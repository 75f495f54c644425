"""Who asks and what they may do. Deny by default: a view without a resource, or a verb not granted, is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from core.tenancy import Scope

Grants = Mapping[str, frozenset[str]]  # resource -> verbs; resource "all" and verb "*" stand for every one
READ_VERBS = frozenset({"list", "get", "lookup", "list_account", "list_events", "list_history", "timeseries",
                        "integration_timeseries", "read"})  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token stands for. Every one of `grants` must allow a verb: rights only ever shrink."""

    token_id: str
    scope: Scope
    grants: Sequence[Grants]
    surface: Literal["management", "connectors", "mcp"] = "management"
    member_id: str = ""
    is_authenticated: bool = True  # what Django asks of a user

    def allows(self, resource: str, verb: str) -> bool:
        return all(allows(grants, resource, verb) for grants in self.grants)


def allows(grants: Grants, resource: str, verb: str) -> bool:
    """Whether a permission set grants a verb on a resource."""
    everywhere, here = grants.get("all", frozenset()), grants.get(resource, frozenset())
    return "*" in everywhere or ("read" in everywhere and verb in READ_VERBS) or "*" in here or verb in here
