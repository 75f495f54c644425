"""The WSGI handler, and what it relies on of Django."""

from __future__ import annotations

import io
import json
import wsgiref.util
from collections.abc import Mapping
from typing import Any

import pytest
from asgiref.local import Local
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.http import HttpRequest
from pytest_django import Settings

from core import requests
from core.parsers import EMPTY
from identity.permissionsets.views import PermissionSetViewSet
from tests.api import Api


class LateMiddleware:
    """Wants to be asked about views."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, *_: Any) -> None:
        """Is never called."""


def ask(method: str, path: str, api: Api, body: bytes = b"", more: Mapping[str, str] = EMPTY) -> tuple[str, Any, bytes]:
    """The status, the headers and the body of an answer, from the handler itself."""
    asked: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(body), **more}
    if body:
        asked |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    asked["HTTP_AUTHORIZATION"] = f"Bearer {api.token}"
    wsgiref.util.setup_testing_defaults(asked)
    told: list[Any] = []
    answer = requests.Handler()(asked, lambda status, headers: told.extend((status, dict(headers))))
    content = b"".join(answer)
    return told[0], told[1], content


def test_handler__same_address_again__is_resolved_once(acme: Api) -> None:
    requests._remembered.cache_clear()
    for _ in range(3):
        status, headers, content = ask("GET", "/v1/accounts", acme)
        assert (status, json.loads(content)) == ("200 OK", {"result": []})
        assert headers["X-Request-Id"]
    assert requests._remembered.cache_info()[:2] == (2, 1)


def test_handler__remembered_address__keeps_its_parts_apart(acme: Api) -> None:
    made = [json.loads(ask("POST", "/v1/accounts", acme, b'{"name": "%s"}' % name)[2]) for name in (b"one", b"two")]
    for _ in range(2):
        for each in (answer["result"]["account"] for answer in made):
            status, _, content = ask("GET", f"/v1/accounts/{each['id']}", acme)
            assert (status, json.loads(content)["result"]) == ("200 OK", each)


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/accounts/" + "x" * 300, "/v1/accounts/" + "x" * 300 + "/y"])
def test_handler__address_of_nothing_or_long__is_not_remembered(path: str, acme: Api) -> None:
    requests._remembered.cache_clear()
    status, _, content = ask("GET", path, acme)
    assert (status, json.loads(content)["status"]) == ("404 Not Found", 404)
    assert requests._remembered.cache_info().currsize == 0


def test_handler__view_that_answers_nothing__is_an_error_like_any(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PermissionSetViewSet, "list", lambda self, request: None)
    status, headers, content = ask("GET", "/v1/permissionsets", acme)
    assert (status, json.loads(content)["status"]) == ("500 Internal Server Error", 500)
    assert headers["X-Request-Id"] in json.loads(content)["instance"]


def test_handler__middleware_it_would_not_call__is_refused(settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.LateMiddleware"]
    with pytest.raises(ImproperlyConfigured, match="process_view"):
        requests.Handler()


def test_connections__of_django__are_kept_where_the_server_replaces_them() -> None:
    assert isinstance(vars(connections)["_connections"], Local)


def test_handler__chunked_body_without_a_byte__is_no_body(acme: Api) -> None:
    environ = {"CONTENT_TYPE": "application/json", "HTTP_TRANSFER_ENCODING": "chunked"}
    assert ask("POST", "/v1/tokens/synqly-integrations", acme, more=environ)[0] == "200 OK"
    status, _, content = ask("POST", "/v1/accounts", acme, more=environ)
    assert (status, json.loads(content)["type"]) == ("400 Bad Request", "/problems/malformed-body")
