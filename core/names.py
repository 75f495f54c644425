"""Names: unique in their scope, and made from the full name when none is given."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.db.models import QuerySet

from core.errors import DuplicateNameError, Parameter
from core.models import Resource
from core.tenancy import current_scope

_LONGEST = 128


def slug(text: str) -> str:
    """Text as a name: ASCII, lower case, runs of anything else as one hyphen. May be empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_text).strip("-")[:_LONGEST]


def same_scope(resource: Resource) -> QuerySet[Any, Any]:
    """The rows among which this one's name must be unique, seen by the caller or not."""
    organization_id = resource.organization_id or current_scope().organization_id
    scope = {column: getattr(resource, column) for column in resource.name_scope} | {"organization_id": organization_id}
    return type(resource)._base_manager.filter(**scope).exclude(pk=resource.pk)


def assign_name(resource: Resource, *, name: str | None, fullname: str | None) -> None:
    """Sets name and full name from what was given: no name is the full name's slug, neither is the id."""
    if name is not None:
        refuse_taken_name(resource, name)
    else:
        name = slug(fullname or "")
        if name in ("", *resource.reserved_names):
            name = resource.id
        elif same_scope(resource).filter(name=name).exists():
            tail = resource.id.replace("-", "")[-12:]
            name = f"{name[: _LONGEST - 13]}-{tail}"
    resource.name, resource.fullname = name, fullname or name


def refuse_taken_name(resource: Resource, name: str) -> None:
    """Raises when another object of the scope has the name."""
    if same_scope(resource).filter(name=name).exists():
        raise DuplicateNameError(f"the name {name!r} is taken", at=Parameter("body", "/name", name))
