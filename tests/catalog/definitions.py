"""A definition of a custom provider that the tests change here and there."""

from __future__ import annotations

import copy
from typing import Any

import orjson

from tests.api import Api
from tests.objects import ok

DEFINITION: dict[str, Any] = {
    "name": "Help desk",
    "vendor": "Example",
    "description": "Tickets of our help desk.",
    "base_url": "https://{tags.site}.helpdesk.example/api/",
    "auth": {"token": {"scheme": "bearer"}, "basic": {"scheme": "basic"}},
    "tags": {"site": "The first part of your address."},
    "operations": {
        "list_tickets": {
            "path": "/tickets",
            "query": {"since": "{input.since}", "per_page": 2},
            "response": "/tickets",
            "pagination": {"style": "page", "parameter": "page"},
        },
        "create_ticket": {
            "method": "POST",
            "path": "/queues/{input.queue}/tickets",
            "headers": {"X-Site": "{tags.site}", "X-Trace": "{input.trace}"},
            "body": {
                "title": "{input.title}",
                "by": "for {tags.site}",
                "labels": "{input.labels}",
                "more": ["{input.more}", 1],
            },
            "expect": [201],
        },
        "whoami": {"path": "/me"},
    },
    "check": "whoami",
}


def changed(**members: Any) -> dict[str, Any]:
    """The definition with other members at its top; None removes one."""
    definition = copy.deepcopy(DEFINITION) | members
    return {name: value for name, value in definition.items() if value is not None}


def with_operation(**operation: Any) -> dict[str, Any]:
    """The definition with one operation alone, which is also no check."""
    return changed(operations={"call": {"path": "/call", **operation}}, check=None)


def text_of(definition: dict[str, Any]) -> str:
    return orjson.dumps(definition).decode()


def make_custom(api: Api, definition: dict[str, Any] = DEFINITION, name: str = "desk") -> dict[str, Any]:
    shown: dict[str, Any] = ok(api.post("/v1/customs", {"name": name, "data": text_of(definition)}))["custom"]
    return shown


def config_of(custom: str, url: str | None = None, **endpoint: Any) -> dict[str, Any]:
    """A configuration for the definition, at another address if one is given."""
    credential = {"type": "token", "secret": "right"}
    at = {} if url is None else {"url": url}
    endpoints = {"default": {"credential": credential, **at, **endpoint}}
    return {"type": "custom_synqly", "custom_id": custom, "endpoints": endpoints, "tags": {"site": "north"}}
