"""Metrics read when they are asked for, at a bounded cost: the backlog, the workers, the processes, the build."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import structlog
from django.conf import settings
from django.db import Error, connection
from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.ledger.backlog import read_backlog
from core.ledger.services import database_now

log = structlog.get_logger("synqmgr.metrics")


class Ledger(Collector):
    """What waits for workers. Whoever has the database has the same numbers, so one server's are enough."""

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("synqmgr_database_up", "Whether the database answered, 1 or 0.")
        try:
            backlog = read_backlog(database_now())
        except Error as error:
            log.warning("backlog_unknown", error=str(error).partition("\n")[0])
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield GaugeMetricFamily("synqmgr_runs_due", "Runs that are due, counted up to 10000.", backlog.due)
        yield GaugeMetricFamily(
            "synqmgr_runs_oldest_due_seconds", "How long the oldest of them is due.", backlog.oldest_age.total_seconds()
        )
        yield GaugeMetricFamily("synqmgr_workers", "Workers seen in the last minute.", backlog.workers)


class Build(Collector):
    """Which version answers."""

    def collect(self) -> Iterator[Metric]:
        labels = {
            "version": str(settings.SPECTACULAR_SETTINGS["VERSION"]),
            "python": platform.python_version(),
            "database": connection.vendor,
        }
        built = GaugeMetricFamily("synqmgr_build_info", "The version that answers; always 1.", labels=list(labels))
        built.add_metric(list(labels.values()), 1)
        yield built


class Processes(Collector):
    """Memory, time and files of each process that counts into the shared folder. Alone, a process has its own."""

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for pid in sharing():
            for metric in ProcessCollector(pid=functools.partial(str, pid), registry=None).collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {"pid": pid}, sample.value)
        yield from families.values()


def sharing() -> list[str]:
    """The ids of the living processes that share the folder of metrics."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return []
    named = {path.stem.rpartition("_")[2] for path in Path(folder).glob("*.db")}
    return sorted(pid for pid in named if Path("/proc", pid).is_dir())
