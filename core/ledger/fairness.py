"""Which runs a worker takes next: those due first, of no organization more than its share."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from django.db import connection

from core.ledger.models import Run, RunState

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
class Room:
    """What a worker can take: at most so many hands, of at most `size` runs.

    Of each organization it has at most `each` hands at a time, those included that are `in_hand`.
    """

    most: int
    each: int
    size: int = 1
    in_hand: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def left(self, organization_id: str) -> int:
        return max(0, self.each - self.in_hand.get(organization_id, 0))


def choose(*, room: Room, now: dt.datetime, kinds: Collection[str]) -> list[list[str]]:
    """The ids of what may be claimed, by hands. A look takes no lock, so another worker may be quicker."""
    due = Run.objects.filter(due_at__lte=now, kind__in=kinds).order_by("due_at", "id")
    due = due.only("id", "organization_id", "lane_id", "lapses", "state")
    looked = list(due[: max(LOOK, room.most)])
    hands = _deal(looked, room)
    if hands or len(looked) < LOOK:
        return hands
    # All of them are of organizations that have their share: what is behind them is found from the other side.
    full = sum(room.left(organization_id) == 0 for organization_id in room.in_hand)
    behind = [due.filter(organization_id=each)[: room.most] for each in _with_work(now, room.most + full)]
    return _deal(itertools.chain.from_iterable(behind), room)


def _deal(runs: Iterable[Run], room: Room) -> list[list[str]]:
    """A hand for each run, as far as there is room; what is left of their lanes is spread over them."""
    hands: list[list[str]] = []
    lanes: dict[str, list[list[str]]] = {}
    taken: Counter[str] = Counter()
    for run in runs:
        # What may have cost a worker its life is done by itself.
        lane_id = None if run.lapses or run.state == RunState.RUNNING else run.lane_id
        if len(hands) < room.most and taken[run.organization_id] < room.left(run.organization_id):
            taken[run.organization_id] += 1
            hands.append([run.id])
            if lane_id:
                lanes.setdefault(lane_id, []).append(hands[-1])
        elif lane_id in lanes:
            shortest = min(lanes[lane_id], key=len)
            if len(shortest) < room.size:
                shortest.append(run.id)
    return hands


def _with_work(now: dt.datetime, most: int) -> list[str]:
    """Organizations of which something is due, the longest due first."""
    due_by = Run._meta.get_field("due_at").get_db_prep_value(now, connection)
    return [run.organization_id for run in Run.objects.raw(_FIRST_OF_EACH, [due_by, most])]
