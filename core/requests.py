"""The request as the server makes it, before any middleware can refuse it, and the handler that answers it."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.http import HttpRequest, HttpResponseBase
from django.urls import set_script_prefix


class BareRequest(WSGIRequest):
    """Takes the media type of a body and nothing else of its header.

    JSON is UTF-8, so the parameters say nothing. Django would read the query in their `charset`, which fails
    for some encodings while the request is being made, where no answer can be given.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        super().__init__(environ)


class Handler(WSGIHandler):
    """Django's, but every address comes from one URL configuration, and errors are logged by core.problems."""

    request_class = BareRequest

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Django's own without its signal, and without asking for each header by name."""
        set_script_prefix(get_script_name(environ))
        response = self.get_response(self.request_class(environ))
        headers = [*response.headers._store.values()]
        headers += [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return response

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self._middleware_chain(request)  # type: ignore[attr-defined]
        response._resource_closers.append(request.close)  # type: ignore[attr-defined]
        return response
