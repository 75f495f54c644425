"""The request as the server makes it, before any middleware can refuse it, and the handler that answers it."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import set_script_prefix

_NOTHING_ASKED = QueryDict()


class BareRequest(WSGIRequest):
    """Takes the media type of a body and nothing else of its header.

    JSON is UTF-8, so the parameters say nothing. Django would read the query in their `charset`, which fails
    for some encodings while the request is being made, where no answer can be given.
    """

    def __init__(self, environ: dict[str, Any]) -> None:
        environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        super().__init__(environ)
        if not environ.get("QUERY_STRING"):  # as for most requests: making an empty one takes as long as a read
            self.__dict__["GET"] = _NOTHING_ASKED


class Handler(WSGIHandler):
    """Django's, but every address comes from one URL configuration, and errors are logged by core.problems."""

    request_class = BareRequest

    def __call__(self, environ: dict[str, Any], start_response: Any) -> HttpResponseBase:
        """Django's own without its signals, and without asking for each header by name."""
        if prefix := get_script_name(environ):
            set_script_prefix(prefix)
        response = self.get_response(self.request_class(environ))
        headers = [*response.headers._store.values()]
        headers += [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return response

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self._middleware_chain(request)  # type: ignore[attr-defined]
        response._resource_closers += [request.close, release_connection]  # type: ignore[attr-defined]
        return response


def release_connection() -> None:
    """Closes this thread's connection to the database if it is of no more use."""
    connection.close_if_unusable_or_obsolete()
