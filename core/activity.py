"""Upward news: what happened, told to the recorder that the settings name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.module_loading import import_string

from core.errors import ProblemError
from core.network import client_address

DONE = "done"


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """The request that caused something. `body` has no secret in it: core.masking took them out."""

    method: str
    path: str
    address: str
    agent: str
    body: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Activity:
    """One change, or one refused change: `resource.verb`, on which object, by which token, with which outcome."""

    resource: str
    verb: str
    object_id: str
    token_id: str
    organization_id: str
    refusal: ProblemError | None = None  # why it was not done
    note: str = ""  # more about what was done
    member_id: str = ""
    call: Call | None = None  # None for what runs by itself
    subject: Any = None  # the row, where there is one
    document: Callable[[], dict[str, Any]] | None = None  # the row as GET shows it

    @property
    def outcome(self) -> str:
        """`DONE`, or the slug of the problem."""
        return DONE if self.refusal is None else self.refusal.slug

    @property
    def status(self) -> int:
        """Of the answer."""
        return 200 if self.refusal is None else self.refusal.status

    @property
    def message(self) -> str:
        return self.note if self.refusal is None else self.refusal.message


def call_of(request: HttpRequest, body: Any = None) -> Call:
    """The request as the news tells it."""
    return Call(
        method=str(request.method),
        path=storable(request.path[:2048]),
        address=client_address(request)[:64],
        agent=storable(request.META.get("HTTP_USER_AGENT", "")[:255]),
        body=body,
    )


def storable(text: str) -> str:
    """Without what PostgreSQL cannot store."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


@functools.cache
def _recorder() -> Callable[[Activity], None]:
    recorder: Callable[[Activity], None] = import_string(settings.ACTIVITY_RECORDER)
    return recorder


def record(activity: Activity) -> None:
    """Tells the recorder, inside the transaction of the change."""
    _recorder()(activity)
