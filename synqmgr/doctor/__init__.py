"""The doctor: looks at everything the service needs, changes nothing, and says what to do about what is not well."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from django.core.exceptions import ImproperlyConfigured
from django.db import Error

from core.crypto.keyring import KeyringError
from synqmgr.doctor.database import check_clock, check_database, check_durability, check_migrations, check_row_security
from synqmgr.doctor.findings import Finding, failed, warning
from synqmgr.doctor.keys import check_keys
from synqmgr.doctor.outside import check_broker, check_limits, check_outbound, check_public_url
from synqmgr.doctor.surroundings import check_disk, check_settings
from synqmgr.doctor.work import check_audit, check_workers

__all__ = ["HOST", "Check", "Finding", "Options", "examine"]


HOST = "example.com"  # the name looked up: it is there for good (RFC 2606)


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How thorough to be, and the name to look up."""

    full: bool = False
    host: str = HOST


Check = Callable[[Options], Iterator[Finding]]

# In the order in which they are told. What needs tables is not looked at where there are none.
ALONE: tuple[Check, ...] = (check_settings, check_disk, check_database)
WITH_DATABASE: tuple[Check, ...] = (check_durability, check_row_security, check_clock, check_keys, check_migrations)
WITH_TABLES: tuple[Check, ...] = (check_workers, check_audit)
OUTSIDE: tuple[Check, ...] = (check_limits, check_broker, check_outbound, check_public_url)


def examine(options: Options = Options()) -> Iterator[Finding]:
    """Everything that was found, one thing after the other."""
    states: set[str] = set()
    for group in (ALONE, WITH_DATABASE, WITH_TABLES):
        for check in group:
            if "failed database" in states or ("failed migrations" in states and group is WITH_TABLES):
                yield warning(_name(check), "not looked at", "First do what is said above of the database.")
                continue
            for finding in _run(check, options):
                states.add(f"{finding.state} {finding.name}")
                yield finding
    for check in OUTSIDE:
        yield from _run(check, options)


def _run(check: Check, options: Options) -> Iterator[Finding]:
    try:
        yield from check(options)
    except (Error, KeyringError, ImproperlyConfigured, OSError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        yield failed(_name(check), said, "Do what it says, then look again.")


def _name(check: Check) -> str:
    return check.__name__.removeprefix("check_").replace("_", " ")
