"""The numbers that dashboards read: what moves them, and that reading them costs the same whatever waits."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import subprocess
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from core import gauges
from core.columns import new_id
from core.errors import ProviderFailedError, ProviderTimeoutError, TooManyRequestsError
from core.ledger import backlog
from core.ledger.models import Worker
from core.ledger.services import enqueue
from core.limits import take
from core.limits.limiter import limiter
from core.outbound import Limits, OutboundRefusedError, OutboundRequest, send
from core.tenancy import scoped
from tests.api import Api
from tests.core.outbound_servers import listen, reply
from tests.server import free_port


def scraped(nobody: Api) -> dict[str, float]:
    """Series -> value, as Prometheus reads the page."""
    text = nobody.get("/metrics").content.decode()
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)  # each is told once
    return {
        sample.name + "".join(f" {value}" for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def answering(status: int) -> bytes:
    return f"HTTP/1.1 {status} Something\r\nContent-Length: 2\r\n\r\nok".encode()


def test_metrics__scraped__say_what_waits_and_who_works(acme: Api, nobody: Api) -> None:
    quiet = scraped(nobody)
    assert (quiet["synqmgr_database_up"], quiet["synqmgr_runs_due"], quiet["synqmgr_workers"]) == (1, 0, 0)
    assert quiet["synqmgr_runs_oldest_due_seconds"] == 0
    now = timezone.now()
    with scoped(acme.scope):
        for minutes in (1, 5, -5):
            enqueue(kind="example", subject_id=new_id(), at=now - dt.timedelta(minutes=minutes))
    for seconds in (5, 300):
        seen_at = now - dt.timedelta(seconds=seconds)
        Worker(host="here", process_id=1, started_at=seen_at, seen_at=seen_at).save()
    busy = scraped(nobody)
    assert (busy["synqmgr_runs_due"], busy["synqmgr_workers"]) == (2, 1)
    assert 300 <= busy["synqmgr_runs_oldest_due_seconds"] < 330
    (build,) = [name for name in busy if name.startswith("synqmgr_build_info")]
    assert connection.vendor in build


def test_metrics__long_backlog__is_counted_so_far_and_no_further(
    acme: Api, nobody: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST", 3)
    with scoped(acme.scope):
        for _ in range(5):
            enqueue(kind="example", subject_id=new_id())
    with CaptureQueriesContext(connection) as asked:
        assert scraped(nobody)["synqmgr_runs_due"] == 3
    asked_of_tables = [query["sql"] for query in asked if "core_" in query["sql"]]
    assert len(asked_of_tables) == 3
    assert "LIMIT 3" in asked_of_tables[1]


def test_metrics__database_away__say_so_and_the_rest(db: None, nobody: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: dt.datetime) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(gauges, "read_backlog", away)
    found = scraped(nobody)
    assert found["synqmgr_database_up"] == 0
    assert "synqmgr_runs_due" not in found
    assert any(name.startswith("synqmgr_http_requests_total") for name in found)


def test_metrics__outbound__tell_how_requests_ended(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1/32"]

    def ended(url: str, outcome: str) -> bool:
        before = counted("synqmgr_outbound_requests_total", outcome=outcome)
        timed = counted("synqmgr_outbound_request_duration_seconds_count", outcome=outcome)
        with contextlib.suppress(OutboundRefusedError, ProviderFailedError, ProviderTimeoutError):
            send(OutboundRequest("GET", url, limits=Limits(connect=0.3, total=0.4)))
        after = counted("synqmgr_outbound_request_duration_seconds_count", outcome=outcome)
        return (counted("synqmgr_outbound_requests_total", outcome=outcome), after) == (before + 1, timed + 1)

    for status, outcome in ((200, "2xx"), (302, "3xx"), (404, "4xx"), (503, "5xx")):
        with listen(reply(answering(status))) as listener:
            assert ended(f"http://127.0.0.1:{listener.port}/", outcome)
    assert ended(f"http://127.0.0.1:{free_port()}/", "failed")
    assert ended("http://127.0.0.2/", "refused")
    assert ended("file:///etc/hostname", "refused")
    with listen(reply(b"HTTP/1.1 ", pause=2)) as listener:
        assert ended(f"http://127.0.0.1:{listener.port}/", "timeout")


def test_metrics__limit__counts_whom_it_refused(db: None, settings: Settings) -> None:
    settings.LIMITS = {"stranger": dataclasses.replace(settings.LIMITS["stranger"], limit=1)}
    before, subject = counted("synqmgr_limit_refusals_total", policy="stranger"), new_id()
    try:
        take("stranger", subject)
        assert counted("synqmgr_limit_refusals_total", policy="stranger") == before
        with pytest.raises(TooManyRequestsError):
            take("stranger", subject)
    finally:
        limiter.close()
    assert counted("synqmgr_limit_refusals_total", policy="stranger") == before + 1


def test_processes__that_share_a_folder__are_told_while_they_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(gauges.Processes().collect()) == []
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f"counter_{os.getpid()}.db", f"histogram_{os.getpid()}.db", f"counter_{ended.pid}.db"):
        (tmp_path / name).touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    found = {metric.name: metric.samples for metric in gauges.Processes().collect()}
    (memory,) = found["process_resident_memory_bytes"]
    assert (memory.labels, memory.value > 1_000_000) == ({"pid": str(os.getpid())}, True)
    assert {"process_cpu_seconds", "process_open_fds", "process_start_time_seconds"} <= set(found)
