"""The request as the server makes it, before any middleware can refuse it, and the handler that answers it."""

from __future__ import annotations

import functools
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest, get_script_name
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, QueryDict
from django.urls import ResolverMatch, resolve, set_script_prefix

_NOTHING_ASKED = QueryDict()
_SHORT = 200  # characters of an address that is worth remembering


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
        if environ.get("SCRIPT_NAME"):
            set_script_prefix(get_script_name(environ))
        response = self.get_response(self.request_class(environ))
        headers = [*response.headers._store.values()]
        headers += [("Set-Cookie", cookie.output(header="")) for cookie in response.cookies.values()]
        start_response(f"{response.status_code} {response.reason_phrase}", headers)
        return response

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = self._middleware_chain(request)  # type: ignore[attr-defined]
        response._resource_closers += [request.close, release_connection]  # type: ignore[attr-defined]
        return response

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async)
        if self._view_middleware or self._template_response_middleware:  # type: ignore[attr-defined]
            raise ImproperlyConfigured("no middleware may have process_view or process_template_response")

    def _get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Django's own without what is not here: view middleware, coroutines, late templates, views as transactions."""
        match = request.resolver_match = match_of(request.path_info)
        try:
            response: HttpResponseBase | None = match.func(request, *match.args, **match.kwargs)
        except Exception as error:
            refused = self.process_exception_by_middleware(error, request)
            if refused is None:
                raise
            return refused
        if response is None:
            raise TypeError(f"the view of {match.route} answers nothing")
        return response


def match_of(path: str) -> ResolverMatch:
    """The view of an address. What is asked for again and again, such as a list, is looked for once."""
    return _remembered(path) if len(path) <= _SHORT else resolve(path)


@functools.lru_cache(maxsize=256)
def _remembered(path: str) -> ResolverMatch:
    return resolve(path)


def release_connection() -> None:
    """Closes this thread's connection to the database if it is of no more use."""
    connection.close_if_unusable_or_obsolete()
