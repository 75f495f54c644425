"""`python -m bench`: fills databases, runs the servers side by side, writes docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import pages, rates
from bench.databases import ROOT, Filled, Kind, drop_all, fill
from bench.report import PAGE, Measured, page, server_version
from bench.servers import running


def measure(kind: Kind, folder: Path, options: argparse.Namespace) -> Measured:
    threads = 1 if kind == "sqlite" else options.threads
    say(f"{kind}: filling {options.accounts:,} accounts")
    service = fill(kind, folder, "service", accounts=options.accounts, organizations=10)
    databases = {"limit": service.copy("limit"), "service": service, "stock": service.copy("stock")}
    costs = inside(service, "costs")
    say(f"{kind}: deliveries")
    delivered = inside(service, "deliveries", SYNQMGR_OUTBOUND_ALLOW="127.0.0.0/8", SYNQMGR_LOG_LEVEL="WARNING")
    say(f"{kind}: {options.rounds} rounds of list, get and create")
    with running(databases, threads) as servers:
        measured = rates.measure(servers, rounds=options.rounds, seconds=options.seconds)
    say(f"{kind}: filling {options.rows:,} accounts of one organization")
    large = fill(kind, folder, "pages", accounts=options.rows, organizations=1)
    say(f"{kind}: first and last pages")
    with running({"service": large}, threads) as servers:
        ratios = pages.measure(servers["service"], times=options.pages)
        slow = pages.slow_queries(servers["service"], times=3)
    return Measured(
        kind=kind,
        rates=measured,
        pages=ratios,
        rows=options.rows,
        slow=slow,
        queries={name: int(count) for name, count in costs["queries"].items()},
        sealing=costs["sealing"],
        deliveries=delivered,
    )


def inside(data: Filled, module: str, **environment: str) -> Any:
    """What a module of the bench prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{module}"],
        input=json.dumps({"token": data.token, "organization_id": data.organization_id}),
        stdout=subprocess.PIPE,
        stderr=(data.folder / f"{module}.log").open("wb"),
        text=True,
        cwd=ROOT,
        env=data.environment | environment,
        check=True,
    )
    return json.loads(done.stdout)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--quick", action="store_true", help="two short rounds over small tables; writes no page")
    parser.add_argument("--threads", type=int, default=3, help="blocking threads of a worker on PostgreSQL")
    parser.add_argument("--data", type=Path, help="an empty folder for SQLite's files (default: a temporary one)")
    options = parser.parse_args()
    full = {"rounds": 5, "seconds": 3.0, "accounts": 200_000, "rows": 1_000_000, "pages": 100}
    quick = {"rounds": 2, "seconds": 1.0, "accounts": 20_000, "rows": 50_000, "pages": 30}
    for name, value in (quick if options.quick else full).items():
        setattr(options, name, value)
    return options


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    options = read_options()
    kinds: list[Kind] = ["sqlite", "postgresql"] if options.database == "both" else [options.database]
    all_, postgresql = [], ""
    for kind in kinds:
        folder = (options.data or Path(tempfile.gettempdir()) / "synqmgr-bench") / kind
        drop_all(kind, folder)
        try:
            all_.append(measure(kind, folder, options))
            if kind == "postgresql":
                postgresql = server_version()
        finally:
            drop_all(kind, folder)
    run = (
        f"{options.rounds} interleaved rounds of {options.seconds:g} s, medians; one worker, {rates.CONNECTIONS} "
        f"connections; {options.accounts:,} accounts in 10 organizations; one blocking thread on SQLite, "
        f"{options.threads} on PostgreSQL. The machine's load average was "
        f"{os.getloadavg()[2]:.1f}, the bench's own included."
    )
    text = page(all_, postgresql, run)
    print(text)
    if not options.quick and options.database == "both":
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
