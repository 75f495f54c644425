"""What ends with a row on the floors above it: functions that the settings name by the row's noun."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string

from core.models import Resource


@functools.cache
def _endings(resource_type: str) -> list[Callable[[str], None]]:
    return [import_string(path) for path in settings.ENDINGS.get(resource_type, ())]


def end_what_depends(instance: Resource) -> None:
    """Ends what a row that is about to be deleted would leave behind, in the transaction that deletes it."""
    for end in _endings(instance.resource_type):
        end(instance.id)
