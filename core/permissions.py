"""Who asks and what they may do. Deny by default: a view without a resource, or a verb not granted, is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from core.tenancy import EVERYTHING, Narrowing, Scope

Grants = Mapping[str, frozenset[str]]  # resource -> verbs; resource "all" and verb "*" stand for every one
READ_VERBS = frozenset({"list", "get", "lookup", "list_account", "list_events", "list_history", "timeseries",
                        "integration_timeseries", "status", "read"})  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """Verbs, and the part of the organization in which they hold."""

    verbs: Grants
    narrowing: Narrowing = EVERYTHING


Link = tuple[Grant, ...]  # such as the roles of a member: one of them must allow


class Principal(NamedTuple):
    """Whoever a token stands for. Every one of `links` must allow a verb: rights only ever shrink."""

    token_id: str
    organization_id: str
    links: Sequence[Link]
    surface: Literal["management", "connectors", "mcp"] = "management"
    member_id: str = ""
    secret_id: str = ""  # the public id of the token's secret

    def allows(self, resource: str, verb: str) -> bool:
        return self.scope_for(resource, verb) is not None

    def scope_for(self, resource: str, verb: str) -> Scope | None:
        """Where the verb is allowed; None where it is not."""
        groups = []
        for link in self.links:
            group = tuple(dict.fromkeys(g.narrowing for g in link if allows(g.verbs, resource, verb)))
            if not group:
                return None
            if all(group):
                groups.append(group)
        return Scope(self.organization_id, tuple(groups))


def lies_within(links: Sequence[Link], bounds: Sequence[Link]) -> bool:
    """Whether nothing passes `links` alone: each of the bounds is as wide as one of them."""
    return all(any(_covers(bound, link) for link in links) for bound in bounds)


def _covers(bound: Link, link: Link) -> bool:
    return all(
        any(allows(wide.verbs, resource, verb) and grant.narrowing.lies_within(wide.narrowing) for wide in bound)
        for grant in link
        for resource, verbs in grant.verbs.items()
        for verb in verbs
    )


def allows(grants: Grants, resource: str, verb: str) -> bool:
    """Whether a permission set grants a verb on a resource."""
    everywhere, here = grants.get("all", frozenset()), grants.get(resource, frozenset())
    return "*" in everywhere or ("read" in everywhere and verb in READ_VERBS) or "*" in here or verb in here
