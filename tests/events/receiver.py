"""A receiver of webhooks on loopback, and what tests do with one."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import socket
from collections.abc import Iterator
from typing import Any

import orjson
from django.utils import timezone

from core.ledger.worker import Heart, work_until_idle
from tests.api import Api
from tests.core.outbound_servers import Listener, Script, listen, reply
from tests.objects import ok

WEBHOOKS = "/v1/organization/webhooks"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def answer(status: str, body: bytes = b"", *headers: bytes) -> Script:
    """An answer with this status line and body."""
    lines = [b"HTTP/1.1 " + status.encode(), b"Content-Length: " + str(len(body)).encode(), *headers]
    return reply(b"\r\n".join([*lines, b"", body]))


OK = answer("200 OK", b"thanks")
BROKEN = answer("500 Internal Server Error", b"oops")


@dataclasses.dataclass
class Request:
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> Any:
        return orjson.loads(self.body)


class Receiver:
    """Plays one script a request, in order, the last one again and again."""

    def __init__(self) -> None:
        self.scripts: list[Script] = [OK]
        self.listener: Listener

    def play(self, connection: socket.socket) -> None:
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        script(connection)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.port}/hook"

    @property
    def requests(self) -> list[Request]:
        return [_parsed(each) for each in self.listener.requests]


def _parsed(raw: bytes) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    pairs = (line.partition(": ") for line in head.decode().split("\r\n")[1:])
    return Request({name.lower(): value for name, _, value in pairs}, body)


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    with listen(receiver.play) as listener:
        receiver.listener = listener
        yield receiver


class Clock:
    """The time as the worker is told it: it moves by hand."""

    def __init__(self) -> None:
        self.ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return timezone.now() + self.ahead

    def forward(self, **by: float) -> None:
        self.ahead += dt.timedelta(**by)

    def work(self) -> int:
        """Does what is due by this clock; how much it was."""
        return work_until_idle(Heart(), self)


def make_webhook(api: Api, url: str, **members: Any) -> dict[str, Any]:
    body = {"filters": ["all"], "url": url, "secret": {"value": SECRET}, **members}
    made: dict[str, Any] = ok(api.post(WEBHOOKS, body))
    return made


def deliveries(api: Api, webhook: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = ok(api.get(f"{WEBHOOKS}/{webhook['id']}/deliveries", query=query))
    return listed


def details(api: Api, delivery: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = ok(api.get(f"{WEBHOOKS}/{delivery['webhook_id']}/deliveries/{delivery['id']}"))
    return shown
