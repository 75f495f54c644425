"""How long rows are kept: the table of the settings, and what deletes the rows that are older."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error
from django.utils.module_loading import import_string
from prometheus_client import Counter

log = structlog.get_logger("synqmgr.retention")
PRUNED = Counter("synqmgr_pruned_rows_total", "Rows deleted because of their age.", ["name"])
_CHANGE = re.compile(r"([a-z_]+)=(?:(off)|([1-9][0-9]{0,4}))\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """Rows that are deleted after so many days, and the function that does it. 0 days are for ever."""

    name: str
    path: str
    days: int

    def prune(self, now: dt.datetime) -> int:
        """Deletes what is too old. Returns how many rows that were."""
        if not self.days:
            return 0
        deleted: int = import_string(self.path)(before=now - dt.timedelta(days=self.days))
        PRUNED.labels(self.name).inc(deleted)
        return deleted


@dataclasses.dataclass(frozen=True, slots=True)
class Pruned:
    """What became of one rule."""

    rule: Rule
    deleted: int = 0
    error: str = ""


def read_retention(table: Mapping[str, tuple[str, int]], changes: str = "") -> dict[str, Rule]:
    """The rules of a table by name. `changes` are rows such as `runs=90,audit=3650`; `off` keeps for ever."""
    rules = {name: Rule(name, *row) for name, row in table.items()}
    for change in filter(None, (part.strip() for part in changes.split(","))):
        match = _CHANGE.match(change)
        if match is None or match[1] not in rules:
            raise ImproperlyConfigured(
                f"SYNQMGR_RETENTION: {change!r} is not `name=days` or `name=off` with a name of {', '.join(rules)}."
            )
        name, off, days = match.groups()
        rules[name] = dataclasses.replace(rules[name], days=0 if off else int(days))
    return rules


def prune_all(*, now: dt.datetime, names: Iterable[str] = ()) -> Iterator[Pruned]:
    """Applies the rules, or those named, one after the other. One that fails does not keep the others from it."""
    for rule in [settings.RETENTION[name] for name in names] or settings.RETENTION.values():
        try:
            pruned = Pruned(rule, rule.prune(now))
        except Error as error:
            pruned = Pruned(rule, error=str(error).partition("\n")[0] or type(error).__name__)
        log.info("pruned", name=rule.name, deleted=pruned.deleted, error=pruned.error)
        yield pruned
