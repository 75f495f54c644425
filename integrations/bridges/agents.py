"""The agents of a bridge: what their heartbeats tell, and who was seen lately."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from core.errors import ConflictError
from core.pruning import delete_old
from integrations.bridges.models import BridgeAgent, BridgeRequest

LATELY = dt.timedelta(minutes=1)
MOST_AGENTS = 20  # of one bridge at once


class TooManyAgentsError(ConflictError):
    """As many agents as one bridge takes are connected."""

    slug = "too-many-agents"
    remedy = "Stop an agent and wait for a minute, or create another bridge with the same labels."


def seen_lately(*, bridge_id: str) -> QuerySet[BridgeAgent, BridgeAgent]:
    """The agents of a bridge that were seen in the last minute."""
    lately = timezone.now() - LATELY
    seen: QuerySet[BridgeAgent, BridgeAgent] = BridgeAgent.objects.filter(bridge_id=bridge_id, seen_at__gt=lately)
    return seen.order_by("started_at", "id")


def note_heartbeat(*, bridge_id: str, agent_id: str, told: dict[str, Any]) -> None:
    """Notes what an agent tells of itself, and clears away what others have left behind."""
    now = timezone.now()
    with transaction.atomic():
        BridgeAgent.objects.filter(bridge_id=bridge_id, seen_at__lte=now - LATELY).exclude(agent_id=agent_id).delete()
        BridgeRequest.objects.filter(bridge_id=bridge_id, expires_at__lte=now - LATELY).delete()
        mine = BridgeAgent.objects.filter(bridge_id=bridge_id, agent_id=agent_id)
        if mine.update(seen_at=now, told=told):
            return
        if BridgeAgent.objects.filter(bridge_id=bridge_id).count() >= MOST_AGENTS:
            raise TooManyAgentsError(f"the bridge has {MOST_AGENTS} agents")
        BridgeAgent.in_scope(bridge_id=bridge_id, agent_id=agent_id, seen_at=now, told=told).save(force_insert=True)


def prune_requests(*, before: dt.datetime) -> int:
    """Deletes requests that ran out before a time: whoever waited for them died, and no agent came back."""
    return delete_old(BridgeRequest, expires_at__lt=before)
