"""Objects named in a body: whether they are there, for whoever asks."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from django.apps import apps

from core.models import Resource


@functools.cache
def model_of(resource_type: str) -> type[Resource]:
    """The table of a contract noun such as `account`."""
    return next(m for m in apps.get_models() if issubclass(m, Resource) and m.resource_type == resource_type)


def absent(resource_type: str, ids: Iterable[str]) -> list[str]:
    """Those ids that name nothing in scope, in order."""
    wanted = list(dict.fromkeys(ids))
    there = set(model_of(resource_type)._default_manager.filter(id__in=wanted).values_list("id", flat=True))
    return [each for each in wanted if each not in there]
