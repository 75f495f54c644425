"""`python -m tests.faults [KILLS [DATABASE]]`: longer storms, with the figures for docs/reliability.md."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.faults.cluster import cluster
from tests.faults.storm import Report, run_storm


def row(name: str, report: Report) -> str:
    kills = ", ".join(f"{what} {times}" for what, times in report.kills.items())
    figures = (
        report.acknowledged,
        report.lost,
        report.doubled,
        report.undelivered,
        report.announced_twice,
        report.unended,
    )
    cells = " | ".join(str(each) for each in (*figures, report.repeated, report.audit or "holds"))
    return f"| {name} | {report.seconds:.0f} s | {sum(report.kills.values())} ({kills}) | {cells} |"


def tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(kills: int = 100, database: str = "") -> None:
    if database in ("", "sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            os.environ.pop("DATABASE_URL", None)
            tell(row("SQLite", run_storm(Path(folder), kills, seed=11)))
    if database in ("", "postgresql"):
        with tempfile.TemporaryDirectory() as folder, cluster() as own:
            if own is not None:
                os.environ["DATABASE_URL"] = own.url
                tell(row("PostgreSQL", run_storm(Path(folder), kills, seed=12, database=own)))


main(*(kind(given) for kind, given in zip((int, str), sys.argv[1:], strict=False)))
