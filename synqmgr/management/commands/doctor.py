"""`manage.py doctor`: what is well, what is not, and what to do."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from synqmgr.doctor import HOST, Finding, Options, examine


class Command(BaseCommand):
    help = (
        "Looks at keys, database, migrations, clock, workers, outbound access, disk and audit logs, and says what to "
        "do. Changes nothing. Ends with status 1 if something failed."
    )
    requires_system_checks = ()  # they are told as findings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument("--full", action="store_true", help="open every key and read every audit log")
        parser.add_argument("--host", default=HOST, help="a name to look up (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine(Options(options["full"], options["host"])):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(as_text(finding))
        failures = sum(finding.state == "failed" for finding in findings)
        if options["json"]:
            answer = {"ok": not failures, "findings": [dataclasses.asdict(finding) for finding in findings]}
            self.stdout.write(json.dumps(answer, indent=2))
        if failures:
            raise CommandError(f"{failures} of {len(findings)} failed.")


def as_text(finding: Finding) -> str:
    """A line of what was found, and one of what to do."""
    line = f"{finding.state:8} {finding.name:13} {finding.found}"
    return f"{line}\n{'':22} {finding.remedy}" if finding.remedy else line
