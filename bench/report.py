"""What was measured, as bars met or not, and as the page in docs/."""

from __future__ import annotations

import dataclasses
import os
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import psycopg

from bench.databases import ROOT, Kind, administration_url
from bench.rates import OPERATIONS, Rates

PAGE = ROOT / "docs" / "performance.md"
NOTES = Path(__file__).with_name("notes.md")
LIST_OF_LIMIT, STOCK = 0.50, {"list": 8.0, "create": 2.5}
OF_LIMIT: dict[Kind, dict[str, float]] = {
    "sqlite": {"list": LIST_OF_LIMIT, "create": 0.30},
    "postgresql": {"list": LIST_OF_LIMIT, "get": 0.35, "create": 0.50},
}
QUERIES = {"list": 2, "list of 1000": 2, "get": 2, "create": 6, "create with labels": 6}
LAST_PAGE, MEMORY, SEALING = 1.2, 1.3, 5.0


@dataclasses.dataclass(slots=True)
class Measured:
    """Everything of one database."""

    kind: Kind
    rates: Rates
    pages: dict[str, float]
    rows: int  # of the table behind `pages`
    slow: dict[str, float]
    queries: dict[str, int]
    sealing: dict[str, float]
    deliveries: dict[str, float]


@dataclasses.dataclass(slots=True)
class Bar:
    name: str
    value: float
    bound: float
    least: bool  # whether the value must be at least the bound, or at most

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.least else self.value <= self.bound

    def row(self) -> str:
        sign = "≥" if self.least else "≤"
        return f"| {self.name} | {self.value:.4g} | {sign} {self.bound:g} | {'met' if self.met else '**not met**'} |"


def bars(measured: Measured) -> Iterator[Bar]:
    rates, label = measured.rates, {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[measured.kind]
    for operation, bound in OF_LIMIT[measured.kind].items():
        yield Bar(f"{label}: {operation}, of the limit", round(rates.of_limit(operation), 2), bound, True)
    for operation, bound in STOCK.items():
        yield Bar(f"{label}: {operation}, times stock DRF", round(rates.of_stock(operation), 1), bound, True)
    order, worst = max(measured.pages.items(), key=lambda item: item[1])
    name = f"{label}: last page of {measured.rows:,} over the first, worst order ({order})"
    yield Bar(name, round(worst, 2), LAST_PAGE, False)
    for request, most in QUERIES.items():
        yield Bar(f"{label}: queries of a {request}", measured.queries[request], most, False)
    memory = rates.memory["service"] / rates.memory["stock"]
    yield Bar(f"{label}: memory of a worker, times stock DRF", round(memory, 2), MEMORY, False)
    ratio = measured.sealing["envelope"] / measured.sealing["bare"]
    yield Bar(f"{label}: sealing 1 KB with the key in hand, times a bare AES-GCM", round(ratio, 1), SEALING, False)


def table(measured: Measured) -> list[str]:
    rates = measured.rates
    lines = ["| | bare limit | synqmgr | stock DRF | of the limit | times stock |", "|---|---|---|---|---|---|"]
    for operation in OPERATIONS:
        rate = [f"{rates.rate[name, operation]:,.0f}" for name in ("limit", "service", "stock")]
        both = f"{rates.of_limit(operation):.2f} | {rates.of_stock(operation):.1f}"
        lines.append(f"| {operation}, a second | {' | '.join(rate)} | {both} |")
    for operation in OPERATIONS:
        cpu = [rates.cpu[name, operation] for name in ("limit", "service", "stock")]
        both = f"{cpu[0] / cpu[1]:.2f} | {cpu[2] / cpu[1]:.1f}"
        lines.append(f"| {operation}, processor time, us | {' | '.join(f'{each:,.0f}' for each in cpu)} | {both} |")
    late = [f"{rates.p99[name, 'list']:.0f}" for name in ("limit", "service", "stock")]
    lines.append(f"| list, 99th percentile, ms | {' | '.join(late)} | | |")
    memory = [f"{rates.memory[name]:.0f}" for name in ("limit", "service", "stock")]
    lines.append(f"| memory of the worker, MiB | {' | '.join(memory)} | | |")
    return lines


def delivered(deliveries: dict[str, float]) -> str:
    rate, bare = deliveries["rate"], deliveries["bare"]
    return (
        f"Webhook deliveries of one worker: {rate:,.0f} a second, {rate / bare:.2f} of a bare loop of the same client "
        f"({bare:,.0f}). After the commit of a single change its delivery arrives in {deliveries['median']:.0f} ms "
        f"(median), {deliveries['worst']:.0f} ms (the worst of 30)."
    )


def machine(postgresql: str) -> str:
    described = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((x.partition(":")[2].strip() for x in described if x.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB of memory",
        f"Python {platform.python_version()}, Django {version('django')}, DRF {version('djangorestframework')}",
        f"granian {version('granian')}, SQLite {sqlite3.sqlite_version}, psycopg {version('psycopg')}",
    ]
    return ", ".join([*parts, *([f"PostgreSQL {postgresql}"] if postgresql else [])])


def server_version() -> str:
    with psycopg.connect(administration_url()) as connection:
        number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def page(all_: list[Measured], postgresql: str, run: str) -> str:
    lines = ["# Performance", "", f"Measured on {machine(postgresql)}. {run}", ""]
    for measured in all_:
        lines += [f"## {'SQLite' if measured.kind == 'sqlite' else 'PostgreSQL'}", "", *table(measured), ""]
        pages = ", ".join(f"{order} {ratio:.2f}" for order, ratio in measured.pages.items())
        lines += [f"Last page of {measured.rows:,} rows over the first: {pages}.", ""]
        slow = ", ".join(f"`{name}` {ms:,.0f} ms" for name, ms in measured.slow.items())
        lines += [f"What reads more than its page, at {measured.rows:,} rows: {slow}.", ""]
        sealing = measured.sealing
        parts = f"{sealing['bare']:.1f} us bare, {sealing['envelope']:.1f} us with the key in hand"
        lines += [f"Sealing 1 KB: {parts}, {sealing['seal']:.0f} us with reading and opening the key.", ""]
        lines += [delivered(measured.deliveries), ""]
    lines += ["## Bars", "", "| bar | measured | bound | |", "|---|---|---|---|"]
    lines += [bar.row() for measured in all_ for bar in bars(measured)]
    return "\n".join([*lines, "", NOTES.read_text()])
