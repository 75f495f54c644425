"""Upward news: what happened, told to the recorder that the settings name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string


@dataclasses.dataclass(frozen=True, slots=True)
class Activity:
    """One change, or one refused change: `resource.verb`, on which object, by which token, with which outcome."""

    resource: str
    verb: str
    object_id: str
    token_id: str
    organization_id: str
    outcome: str  # "done" or a problem's slug


@functools.cache
def _recorder() -> Callable[[Activity], None]:
    recorder: Callable[[Activity], None] = import_string(settings.ACTIVITY_RECORDER)
    return recorder


def record(activity: Activity) -> None:
    """Tells the recorder, inside the transaction of the change."""
    _recorder()(activity)
