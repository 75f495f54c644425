"""Which runs a worker takes next: those due first, of no organization more than its share."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from django.db import connection

from core.ledger.models import Run

LOOK = 100  # runs looked at in the order they are due
# The first run of each organization, by a jump in the index to the next organization: what it costs grows with the
# organizations that have work, not with how much one of them has.
_FIRST_OF_EACH = """
WITH RECURSIVE owner (id) AS (
    SELECT * FROM (
        SELECT organization_id FROM core_run WHERE due_at IS NOT NULL ORDER BY organization_id LIMIT 1
    ) AS first
    UNION ALL
    SELECT (
        SELECT organization_id FROM core_run
        WHERE due_at IS NOT NULL AND organization_id > owner.id ORDER BY organization_id LIMIT 1
    ) FROM owner WHERE owner.id IS NOT NULL
)
SELECT id, organization_id FROM core_run WHERE due_at <= %s AND id IN (
    SELECT (SELECT id FROM core_run WHERE organization_id = owner.id AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)
    FROM owner WHERE owner.id IS NOT NULL
) ORDER BY due_at LIMIT %s
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """What each organization may have of a worker, and what it has already."""

    each: int
    in_hand: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def left(self, organization_id: str) -> int:
        return max(0, self.each - self.in_hand.get(organization_id, 0))


def choose(*, most: int, now: dt.datetime, kinds: Collection[str], share: Share | None) -> list[str]:
    """The ids of what may be claimed. A look takes no lock, so another worker may be quicker."""
    due = Run.objects.filter(due_at__lte=now, kind__in=kinds).order_by("due_at", "id")
    if share is None:
        return list(due.values_list("id", flat=True)[:most])
    looked = list(due.values_list("id", "organization_id")[:LOOK])
    chosen = _within(share, looked, most)
    if chosen or len(looked) < LOOK:
        return chosen
    # All of them are of organizations that have their share: what is behind them is found from the other side.
    full = sum(share.left(organization_id) == 0 for organization_id in share.in_hand)
    for organization_id in _with_work(now, most + full):
        found = due.filter(organization_id=organization_id).values_list("id", "organization_id")
        chosen += _within(share, found[: share.left(organization_id)], most - len(chosen))
    return chosen


def _within(share: Share, runs: Iterable[tuple[str, str]], most: int) -> list[str]:
    """Those that the shares of their organizations have room for."""
    taken: Counter[str] = Counter()
    chosen: list[str] = []
    for run_id, organization_id in runs:
        if len(chosen) < most and taken[organization_id] < share.left(organization_id):
            taken[organization_id] += 1
            chosen.append(run_id)
    return chosen


def _with_work(now: dt.datetime, most: int) -> list[str]:
    """Organizations of which something is due, the longest due first."""
    due_by = Run._meta.get_field("due_at").get_db_prep_value(now, connection)
    return [run.organization_id for run in Run.objects.raw(_FIRST_OF_EACH, [due_by, most])]
