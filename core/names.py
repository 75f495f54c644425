"""Names: unique in their scope, and made from the full name when none is given."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django.db.models import QuerySet

from core.columns import column_at, is_id
from core.models import Named
from core.prepared import Slot, prepared
from core.tenancy import current_scope, unscoped

_LONGEST = 128


def slug(text: str) -> str:
    """Text as a name: ASCII, lower case, runs of anything else as one hyphen. May be empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_text).strip("-")[:_LONGEST]


def is_taken(resource: Named, name: str) -> bool:
    """Whether another object has the name, among those where it must be unique, seen by the caller or not."""
    model = type(resource)
    scope = {column: getattr(resource, column) for column in resource.name_scope}
    if "organization_id" in scope:
        scope["organization_id"] = scope["organization_id"] or current_scope().organization_id
    values = {path: value for path, value in scope.items() if value is not None} | {"name": name}

    def build() -> QuerySet[Any, Any]:
        equal = {path: Slot(path, column_at(model, path)) if path in values else None for path in (*scope, "name")}
        others = model._base_manager.exclude(pk=Slot("pk", column_at(model, "id")))
        return others.filter(**equal).values_list("pk")[:1]

    statement = prepared((model, "taken", *values), build)
    if "organization_id" in scope:
        return bool(statement.rows(**values, pk=resource.pk))
    with unscoped("the name of an organization is unique among all"):
        return bool(statement.rows(**values, pk=resource.pk))


def assign_name(resource: Named, *, name: str | None, fullname: str | None, at: str = "/name") -> None:
    """Sets name and full name from what was given: no name is the full name's slug, neither is the id.

    `at` is where in the body the name stands. A given name that is taken is refused when the row is saved.
    """
    if name is None:
        name = slug(fullname or "")
        if name in ("", *resource.reserved_names) or is_id(name):
            name = resource.pk
        elif is_taken(resource, name):
            tail = resource.pk.replace("-", "")[-12:]
            name = f"{name[: _LONGEST - 13]}-{tail}"
    resource.name, resource.fullname, resource.name_at = name, fullname or name, at
