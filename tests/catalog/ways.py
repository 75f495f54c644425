"""Ways out for the calls of custom providers: they answer by a script and remember what they were given."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from catalog.customs.calls import Connection, Page, call_operation
from core.columns import new_id
from core.outbound import OutboundAnswer, OutboundRequest
from tests.catalog.definitions import config_of

URL = "https://desk.example/api"
TOKEN = ("token", {"type": "token", "secret": "right"})
Script = Callable[[OutboundRequest], tuple[int, Any, dict[str, str]]]


@dataclasses.dataclass
class Way:
    """A way out of one's own, such as a bridge: it answers by a script and remembers what it was given."""

    script: Script
    sent: list[OutboundRequest] = dataclasses.field(default_factory=list)

    def send(self, request: OutboundRequest) -> OutboundAnswer:
        self.sent.append(request)
        status, content, headers = self.script(request)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return OutboundAnswer(status, httpx2.Headers(headers), body)


def always(content: Any, status: int = 200, **headers: str) -> Way:
    return Way(lambda request: (status, content, headers))


def connect(definition: dict[str, Any], way: Way, secret: Any = TOKEN, url: str | None = URL) -> Connection:
    config = config_of(new_id(), url)
    return Connection(definition, config, {"/endpoints/default/credential": secret}, new_id(), way.send)


def call(way: Way, definition: dict[str, Any], operation: str = "call", **arguments: Any) -> Page:
    return call_operation(connection=connect(definition, way), operation=operation, arguments=arguments)


def each_page(connection: Connection) -> Iterator[Page]:
    """The pages of the operation `call`, each asked for by what the one before named."""
    page = call_operation(connection=connection, operation="call")
    yield page
    while page.next is not None:
        page = call_operation(connection=connection, operation="call", cursor=page.next)
        yield page
