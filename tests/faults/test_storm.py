"""kill -9 of a worker, the web server or the database at any point loses nothing and doubles nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.faults import POINTS
from tests.faults.cluster import cluster
from tests.faults.storm import Report, run_storm

KILLS = 12


def is_calm(report: Report) -> bool:
    """Whether every acknowledged change is there once, was announced under one id and is in the audit log, and all
    work has come to its end."""
    wrong = (report.lost, report.doubled, report.undelivered, report.announced_twice, report.unended, report.audit)
    return wrong == (0, 0, 0, 0, 0, "")


def test_storm__on_the_database_of_the_suite__loses_and_doubles_nothing(tmp_path: Path) -> None:
    report = run_storm(tmp_path, KILLS, seed=1)
    assert is_calm(report), report
    assert report.acknowledged
    assert report.kills.keys() >= set(POINTS)


def test_storm__that_kills_postgresql_too__loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("runs with the suite on PostgreSQL")
    with cluster() as own:
        if own is None:
            pytest.skip("PostgreSQL's own programs are not installed here")
        monkeypatch.setenv("DATABASE_URL", own.url)
        report = run_storm(tmp_path, KILLS, seed=2, database=own)
    assert is_calm(report), report
    assert report.acknowledged
    assert report.kills.keys() >= set(POINTS)
