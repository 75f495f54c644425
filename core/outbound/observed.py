"""Metrics of requests made for tenants: how they ended, and how long they took."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from prometheus_client import Counter, Histogram

from core.errors import ProviderTimeoutError
from core.outbound.destination import OutboundRefusedError

# No label names a host: tenants choose hosts, and must not make series.
REQUESTS = Counter("synqmgr_outbound_requests_total", "Requests made for tenants, by how they ended.", ["outcome"])
DURATION = Histogram(
    "synqmgr_outbound_request_duration_seconds",
    "Time that a request for a tenant took, in seconds.",
    ["outcome"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)


class Observed:
    """One request under way."""

    status = 0  # of the answer, once there is one


@contextlib.contextmanager
def observed() -> Iterator[Observed]:
    """Counts what happens inside: `2xx` and the like, `refused` before anything was sent, `timeout`, `failed`."""
    started, request, outcome = time.perf_counter(), Observed(), "failed"
    try:
        yield request
        outcome = f"{request.status // 100}xx"
    except OutboundRefusedError:
        outcome = "refused"
        raise
    except ProviderTimeoutError:
        outcome = "timeout"
        raise
    finally:
        REQUESTS.labels(outcome).inc()
        DURATION.labels(outcome).observe(time.perf_counter() - started)
