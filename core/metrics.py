"""Metrics for Prometheus: requests by route, method and status, how long they took, and what the others count."""

from __future__ import annotations

import functools
import os

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector

from core.crypto.hashing import same
from core.errors import ForbiddenError
from core.gauges import Build, Ledger, Processes
from core.network import client_address

REQUESTS = Counter("synqmgr_http_requests_total", "Requests answered.", ["method", "route", "status"])
DURATION = Histogram(
    "synqmgr_http_request_duration_seconds",
    "Time from the first byte read to the answer built, in seconds.",
    ["route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


_requests, _duration = functools.cache(REQUESTS.labels), functools.cache(DURATION.labels)


def observe(*, method: str, route: str, status: int, seconds: float) -> None:
    """Counts one answered request. `route` is the pattern, never the path, so the number of series is bounded."""
    _requests(method, route, str(status)).inc()
    _duration(route).observe(seconds)


def metrics(request: HttpRequest) -> HttpResponse:
    """`/metrics`: with the token of the settings, or from this machine when none is set."""
    if settings.METRICS_TOKEN:
        allowed = same(request.headers.get("Authorization", "").encode(), f"Bearer {settings.METRICS_TOKEN}".encode())
    else:
        allowed = client_address(request) in ("127.0.0.1", "::1")
    if not allowed:
        raise ForbiddenError("metrics are for the operator: set SYNQMGR_METRICS_TOKEN and send it as a bearer token")
    own = CollectorRegistry()
    for collector in (Build(), Ledger(), Processes()):
        own.register(collector)
    return HttpResponse(counted() + generate_latest(own), content_type=CONTENT_TYPE_LATEST)


def counted() -> bytes:
    return generate_latest(counts())


def counts() -> CollectorRegistry:
    """What this process has counted, or all processes that share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def serve_counts() -> None:
    """Workers by themselves answer at `SYNQMGR_WORKER_METRICS`, in a thread; raises if nothing can listen there."""
    host, _, port = settings.WORKER_METRICS.rpartition(":")
    try:
        start_http_server(int(port), host.strip("[]"), counts())
    except (ValueError, OSError, OverflowError) as error:
        raise ImproperlyConfigured(
            f"SYNQMGR_WORKER_METRICS {settings.WORKER_METRICS!r} cannot be listened at: {error}"
        ) from error
