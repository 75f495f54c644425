"""Around every request: its id, its log line, its metrics, safe headers, and problems for what DRF never sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import BinaryIO, cast

import structlog
from django.conf import settings
from django.core.handlers.wsgi import LimitedStream
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, resolve

from core.columns import new_id
from core.errors import InvalidError, MalformedBodyError, MethodNotAllowedError, NotFoundError, Parameter
from core.limits import nearest
from core.logs import request_id
from core.metrics import observe
from core.network import client_address, is_served
from core.problems import as_problem, problem_response

log = structlog.get_logger("synqmgr.requests")
PROBES = ("/livez", "/readyz")  # whoever watches the process asks by its address
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
SAFE_HEADERS = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
_SAFE = {name.lower(): (name, value) for name, value in SAFE_HEADERS}


class RequestMiddleware:
    """The outermost layer. It adds what every answer has, whoever made it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request.request_id = new_id()  # type: ignore[attr-defined]
        named = request_id.set(request.request_id)  # type: ignore[attr-defined]
        nearest.set(None)
        try:
            response = self.answer(request)
            self.finish(request, response, time.perf_counter() - started)
        finally:
            request_id.reset(named)
        return response

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        if request.method not in METHODS:
            refused = MethodNotAllowedError(
                "the API does not take this method", headers={"Allow": methods_of(request.path_info)}
            )
            return problem_response(refused, request)
        if request.path not in PROBES and not is_served(request):
            return problem_response(
                InvalidError("the service does not answer to this host name", at=Parameter("header", "Host")), request
            )
        if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower() and not request.META.get(
            "CONTENT_LENGTH"
        ):
            read_chunked(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse:
        """Errors of views that are not DRF's."""
        return problem_response(as_problem(exception), request)

    @staticmethod
    def finish(request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
        # At once: Django checks each name and value on its own, which for these takes as long as a query.
        added = {**_SAFE, "x-request-id": ("X-Request-Id", request.request_id)}  # type: ignore[attr-defined]
        if (verdict := nearest.get()) is not None:
            added |= {name.lower(): (name, value) for name, value in verdict.headers().items()}
        if not response.streaming:
            added["content-length"] = ("Content-Length", str(len(response.content)))  # type: ignore[attr-defined]
        response.headers._store = {**added, **response.headers._store}
        match = request.resolver_match
        route = match.route if match else "unmatched"
        method = request.method if request.method in METHODS else "other"  # a caller must not invent series
        observe(method=str(method), route=route, status=response.status_code, seconds=seconds)
        log.info(
            "request",
            method=request.method,
            path=request.path[:500],
            route=route,
            status=response.status_code,
            ms=round(seconds * 1000, 2),
            address=client_address(request),
            agent=request.META.get("HTTP_USER_AGENT", "")[:200],
        )


def methods_of(path: str) -> str:
    """The methods of an address, as `Allow` lists them."""
    try:
        actions = getattr(resolve(path).func, "actions", {"get": "", "head": ""})
    except Resolver404:
        return ", ".join(sorted(METHODS))
    return ", ".join(method.upper() for method in actions)


def read_chunked(request: HttpRequest) -> None:
    """Gives a body of unknown length a length, so that it is read like any other instead of being dropped."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    request.META["CONTENT_LENGTH"] = str(limit)
    request._stream = cast(BinaryIO, LimitedStream(request.META["wsgi.input"], limit + 1))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404"""
    return problem_response(NotFoundError("there is nothing at this address"), request)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler400: a malformed query"""
    return problem_response(
        MalformedBodyError("the request could not be read", detail=type(exception).__name__), request
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500"""
    return problem_response(as_problem(RuntimeError("unhandled")), request)
