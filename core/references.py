"""Objects named in a body or an address by a contract noun: whether they are there, for whoever asks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable

from django.apps import apps
from django.db import router
from django.db.models.deletion import Collector

from core.columns import addressed
from core.models import Resource


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """An object that owns others, and the account it belongs to, if to one."""

    type: str
    id: str
    account_id: str | None


@functools.cache
def model_of(resource_type: str) -> type[Resource] | None:
    """The table of a contract noun such as `account`; None while no app has it."""
    models = (m for m in apps.get_models() if issubclass(m, Resource))
    return next((m for m in models if m.resource_type == resource_type), None)


def absent(resource_type: str, ids: Iterable[str]) -> list[str]:
    """Those ids that name nothing in scope, in order."""
    wanted, model = list(dict.fromkeys(ids)), model_of(resource_type)
    found = model._default_manager.filter(id__in=wanted).values_list("id", flat=True) if model and wanted else ()
    there = set(found)
    return [each for each in wanted if each not in there]


def find_owner(identifier: str, resource_types: Iterable[str], *, lock: bool = False) -> Owner | None:
    """The first object with this id, or this name, among tables in the order given. A name must be the only one.

    `lock` keeps it from being deleted until the transaction ends.
    """
    named = addressed(identifier)
    if named is None:
        return None
    for resource_type in resource_types:
        model = model_of(resource_type)
        if model is None:
            continue
        account = "id" if resource_type == "account" else "account_id" if hasattr(model, "account_id") else None
        columns = ["id", account] if account else ["id"]
        rows = (
            model._default_manager.select_for_update(of=("self",), no_key=True)
            if lock
            else model._default_manager.all()
        )
        found = list(rows.filter(**named).values_list(*columns)[:2])
        if len(found) == 1:
            return Owner(resource_type, found[0][0], found[0][1] if account else None)
    return None


def refuse_while_used(instance: Resource) -> None:
    """Raises as deleting the object would: when others use it. For changes that would leave them without."""
    Collector(using=router.db_for_write(type(instance))).collect([instance])
