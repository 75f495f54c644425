"""Upward news: what happened, told to the recorder that the settings name."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from django.conf import settings
from django.http import HttpRequest

from core.errors import ProblemError
from core.network import client_address

DONE = "done"


class Call(NamedTuple):
    """The request that caused something. `body` has no secret in it: core.masking took them out."""

    method: str
    path: str
    address: str
    agent: str
    body: Any = None


class Activity(NamedTuple):
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
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()


class Recorder(Protocol):
    """What the module has that the settings name."""

    def record(self, activity: Activity) -> None: ...
    def open_log(self) -> None: ...
    def close_log(self) -> str: ...


@functools.cache
def _recorder() -> Recorder:
    return cast(Recorder, importlib.import_module(settings.ACTIVITY_RECORDER))


def record(activity: Activity) -> None:
    """Tells the recorder, inside the transaction of the change."""
    _recorder().record(activity)


def open_log() -> None:
    """Tells the recorder that the organization in scope is new, inside the transaction that makes it."""
    _recorder().open_log()


def close_log() -> str:
    """Tells the recorder that the organization in scope ends with this transaction; what is to be kept of its log."""
    return _recorder().close_log()
