"""`python -m bridge`: reads the command line, runs the agent, stops it when it is told to."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import signal
import sys
import uuid
from pathlib import Path

from bridge import VERSION
from bridge.agent import Agent
from bridge.credential import Credential, CredentialError, read_credential
from bridge.reach import Reach, ReachError
from bridge.service import Service

log = logging.getLogger("bridge")
SOON = dt.timedelta(days=30)
STOPPED, REVOKED, MISUSED = 0, 1, 2  # what the process ends with


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bridge", description="Relays requests into this network.")
    parser.add_argument("--creds", type=Path, required=True, help="file with the credential of the bridge")
    parser.add_argument(
        "--allow", action="append", default=[], nargs="+", metavar="NETWORK_OR_HOST",
        help="what may be called: 10.0.0.0/8, jira.corp.example or *.corp.example; nothing if not given",
    )  # fmt: skip
    parser.add_argument("--allow-file", type=Path, help="file with such entries, one a line; # begins a comment")
    parser.add_argument("--service", default="", help="address of the service, if not the one in the credential")
    parser.add_argument(
        "--parallel", type=int, default=8, choices=range(1, 65), metavar="1-64", help="requests at once"
    )
    parser.add_argument("--version", action="version", version=VERSION)
    return parser


def allowed(given: argparse.Namespace) -> Reach:
    """What may be called, from the command line and the file."""
    entries = [entry for group in given.allow for entry in group]
    if given.allow_file is not None:
        lines = (line.partition("#")[0].strip() for line in given.allow_file.read_text().splitlines())
        entries += filter(None, lines)
    return Reach.of(entries)


def main(argv: list[str] | None = None) -> int:
    given = arguments().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every call
    try:
        credential, reach = read_credential(given.creds, given.service), allowed(given)
    except (CredentialError, ReachError, OSError, UnicodeDecodeError) as error:
        log.error("%s", error)  # noqa: TRY400 - the message is all there is to say
        return MISUSED
    warn_of(given.creds, credential, reach)
    service = Service(credential, str(uuid.uuid4()))
    agent = Agent(service, reach, given.parallel)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stop())
    log.info("bridge %s: agent %s of %s starts", credential.bridge_id, VERSION, credential.service)
    ended_well = agent.run()
    service.close()
    log.info("the agent has stopped")
    return STOPPED if ended_well else REVOKED


def warn_of(path: Path, credential: Credential, reach: Reach) -> None:
    """Says what works today and should be looked after."""
    if path.stat().st_mode & 0o077:
        log.warning("%s can be read by other users of this machine: chmod 600 it", path)
    if not reach.shown():
        log.warning("nothing is allowed, so every request will be refused: give --allow")
    if credential.expires - dt.datetime.now(dt.UTC) < SOON:
        log.warning("the credential expires at %s: create another bridge with the same labels", credential.expires)


if __name__ == "__main__":
    sys.exit(main())
