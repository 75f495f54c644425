"""`manage.py verify_audit`: proves that no event of the audit logs was changed, added between or taken out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.crypto.startup import verify_keys
from events.audit.chains import compare, every_organization, prove_all
from events.audit.proof import Proof
from organizations.services import find_organization

_LINE = re.compile(r"(?P<organization>\S+)  ok  (?P<sequence>[0-9]+)(?: (?P<digest>[0-9a-f]+))?")
_GONE = "the organization is gone with its log; that of the one above tells of it, if that was by way of the API"


class Command(BaseCommand):
    help = (
        "Checks the chain of every organization's audit log, and prints where it ends. Ends with status 1 and the "
        "place where one is broken. Keep what it prints somewhere else, and give it back later with --expect: that "
        "shows when an older copy of a log was put in its place."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", metavar="ID", help="only the log of the organization of this id or name")
        parser.add_argument("--expect", metavar="FILE", help="what this printed on an earlier day")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            verify_keys()  # without the right ones every chain would look broken
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        known = chosen(options["organization"])
        kept = read_kept(options["expect"]) if options["expect"] else {}
        broken = 0
        for organization_id, proof in prove_all(known):
            found = compare(organization_id, proof, kept[organization_id]) if organization_id in kept else proof
            broken += self.tell(organization_id, found)
        if options["organization"] is None:
            for organization_id in sorted(kept.keys() - set(known)):
                broken += self.tell(organization_id, Proof(_GONE))
        if broken:
            raise CommandError(f"{broken} audit log{'s are' if broken > 1 else ' is'} broken: see above where.")

    def tell(self, organization_id: str, proof: Proof) -> bool:
        """Prints what was found of a log; whether it is broken."""
        found = f"broken: {proof.broken}" if proof.broken else f"ok  {proof.sequence} {proof.digest}".rstrip()
        self.stdout.write(f"{organization_id}  {found}")
        return proof.broken is not None


def read_kept(path: str) -> dict[str, Proof]:
    """The ends of the logs on an earlier day, by organization. What was broken then had none."""
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"--expect {path}: {error}") from error
    kept: dict[str, Proof] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is not None:
            kept[match["organization"]] = Proof(None, int(match["sequence"]), match["digest"] or "")
        elif line.strip() and "  broken: " not in line:
            raise CommandError(f"--expect {path}: line {number} is none that `manage.py verify_audit` prints.")
    return kept


def chosen(named: str | None) -> list[str]:
    """The ids of the organizations whose logs are meant."""
    if named is None:
        return every_organization()
    organization = find_organization(named)
    if organization is None:
        raise CommandError(f"There is no organization {named!r}.")
    return [organization.id]
