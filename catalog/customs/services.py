"""Finding, keeping and changing custom providers."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.customs.definitions import Definition, endpoints_of, scheduled_of
from catalog.customs.models import Custom
from core.columns import is_id
from core.errors import ConflictError
from core.references import refuse_while_used

MOST = 100  # of an organization: catalogs and lists show all of them at once


def find_custom(*, identifier: str) -> Custom | None:
    """The custom provider with this id or name."""
    identifier = identifier.lower()  # names are compared without case
    if "\x00" in identifier:
        return None
    custom: Custom | None = Custom.objects.filter(**{"id" if is_id(identifier) else "name": identifier}).first()
    return custom


def list_customs() -> Sequence[Custom]:
    """Every custom provider of the organization, by name."""
    return list(Custom.objects.order_by("name").defer("data"))


def refuse_too_many() -> None:
    """Raises when the organization has as many as it may."""
    if Custom.objects.unnarrowed().count() >= MOST:
        raise ConflictError(
            f"the organization has {MOST} custom providers, which is the most it may have",
            remediation="Delete one that is not used any more.",
        )


def change_definition(*, custom: Custom, definition: Definition) -> None:
    """Puts a new definition into a custom provider that is being changed; `save` is the caller's.

    While integrations use it, they must stay valid: the same endpoints and tags, no type of credential less, and
    nothing less that can be scheduled.
    """
    if not fits(custom.definition, definition):
        refuse_while_used(custom)
    custom.definition = definition


def fits(old: Definition, new: Definition) -> bool:
    """Whether every integration by one definition is one by the other."""
    before, after = endpoints_of(old), endpoints_of(new)
    if before.keys() != after.keys() or old.get("tags", {}).keys() != new.get("tags", {}).keys():
        return False
    if not scheduled_of(old).keys() <= scheduled_of(new).keys():
        return False
    return all(before[name]["auth"].keys() <= after[name]["auth"].keys() for name in before)
