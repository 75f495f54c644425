"""What a token may do: its chain of grants as verbs and a narrowing."""

from __future__ import annotations

import functools
from typing import Any

import orjson

from core.permissions import Grants
from core.tenancy import EVERYTHING, Narrowing
from identity.permissionsets.sets import PERMISSION_SETS

ANY = "*"


def narrowing_of(resources: dict[str, Any]) -> Narrowing:
    """The `Resources` of the contract as a narrowing. All that is given must pass; `*` leaves a list open."""
    accounts, integrations = resources.get("accounts") or {}, resources.get("integrations") or {}

    def only(values: list[str] | None) -> frozenset[str] | None:
        return None if values is None or ANY in values else frozenset(values)

    labels = accounts.get("labels")
    return Narrowing(
        accounts=only(accounts.get("ids")),
        environments=only(accounts.get("environments")),
        categories=only(integrations.get("categories")),
        labels=() if labels is None or ANY in labels else (frozenset(labels),),
    )


def narrowing_of_chain(grants: list[dict[str, Any]]) -> Narrowing:
    """What passes every link of a chain."""
    narrowing = EVERYTHING
    for link in grants:
        narrowing = narrowing.and_also(narrowing_of(link["resources"]))
    return narrowing


@functools.lru_cache(maxsize=4096)
def rights_of(grants: str) -> tuple[tuple[Grants, ...], Narrowing]:
    """The rights in a token's `grants` column, from its text."""
    chain = orjson.loads(grants)
    sets = dict.fromkeys(link["permission_set"] for link in chain)
    return tuple(PERMISSION_SETS[name] if name else {} for name in sets), narrowing_of_chain(chain)
