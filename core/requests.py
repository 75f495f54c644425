"""The request as the server makes it, before any middleware can refuse it, and the handler that answers it."""

from __future__ import annotations

from typing import Any

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponseBase


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

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self._middleware_chain(request)  # type: ignore[attr-defined]
        response._resource_closers.append(request.close)  # type: ignore[attr-defined]
        return response
