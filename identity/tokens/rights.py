"""What a token may do: its chain of links, each of grants of which one must allow."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import orjson

from core.errors import ForbiddenError
from core.permissions import Grant, Link, Principal, lies_within
from core.tenancy import Narrowing
from identity.permissionsets.sets import ANY, PERMISSION_SETS

StoredLink = list[dict[str, Any]]  # of `{"permission_set": ..., "resources": ...}`, and `"verbs"` if not all of the set
OWN_SESSION = Grant({"auth": frozenset({"change_password", "logoff"})})  # what every member may do


def is_own_session(principal: Principal) -> bool:
    """Whether a member acts in a session of its own: a token derived from one stands for less."""
    return bool(principal.member_id) and OWN_SESSION in principal.links[0]


def refuse_beyond(links: Sequence[Link], bounds: Sequence[Link], refusal: str) -> None:
    """The one rule of rights over rights: nobody gives, renews or ends what may do more than they may."""
    if not lies_within(links, bounds):
        raise ForbiddenError(refusal)


def link_of(permission_set: str) -> Link:
    """What a permission set grants everywhere."""
    return (Grant(PERMISSION_SETS[permission_set]),)


def narrowing_of(resources: dict[str, Any]) -> Narrowing:
    """The `Resources` of the contract as a narrowing. All that is given must pass; `*` leaves a list open."""
    organizations, accounts = resources.get("organizations") or {}, resources.get("accounts") or {}
    integrations = resources.get("integrations") or {}

    def only(values: list[str] | None) -> frozenset[str] | None:
        return None if values is None or ANY in values else frozenset(values)

    return Narrowing(
        organizations=only(organizations.get("ids")),
        accounts=only(accounts.get("ids")),
        environments=only(accounts.get("environments")),
        categories=only(integrations.get("categories")),
        labels=only(accounts.get("labels")),
    )


def the_account_of(links: list[StoredLink]) -> str | None:
    """The id of the one account that every link allows at most; None when there is no such."""
    common: frozenset[str] | None = None
    for link in links:
        allowed = [narrowing_of(grant["resources"]).accounts for grant in link]
        if None in allowed:
            continue
        reached = frozenset().union(*(each for each in allowed if each is not None))
        common = reached if common is None else common & reached
    return next(iter(common)) if common is not None and len(common) == 1 else None


def _grant(stored: dict[str, Any]) -> Grant:
    verbs = PERMISSION_SETS[stored["permission_set"]] if stored["permission_set"] else {}
    if "verbs" in stored:
        verbs = {resource: held & frozenset(stored["verbs"]) for resource, held in verbs.items()}
    return Grant(verbs, narrowing_of(stored["resources"]))


@functools.lru_cache(maxsize=4096)
def links_of(grants: str, member_grants: str | None) -> tuple[Link, ...]:
    """The links of a token's `grants` column and of its member's, from their text."""
    links = tuple(tuple(_grant(stored) for stored in link) for link in orjson.loads(grants))
    if member_grants is None:
        return links
    return (*links, (OWN_SESSION, *(_grant(stored) for stored in orjson.loads(member_grants))))
