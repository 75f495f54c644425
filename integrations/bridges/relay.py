"""Sending a request through a bridge: it becomes a row that an agent takes, and whoever sends it waits for the answer.

Server and agent meet in the database, since the agent may be connected to another process or machine than the one that
has the request. Nothing is locked and no transaction is open meanwhile.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils import timezone

from core.columns import new_id
from core.crypto.sealing import Place, open_sealed, seal
from core.errors import ProblemError, ProviderFailedError, ProviderTimeoutError, UnavailableError
from core.outbound import OutboundAnswer, OutboundRequest
from core.outbound.metering import meter
from core.outbound.relay import pack_request, unpack_request
from integrations.bridges.agents import LATELY
from integrations.bridges.answers import read_answer
from integrations.bridges.models import Bridge, BridgeAgent, BridgeRequest

MOST_WAITING = 16  # of one bridge
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.15  # seconds between looks at the row
WAY_BACK = 0.5  # seconds of the time allowed that are kept for bringing the answer back
DELETED = "the bridge was deleted while its agent was asked"
_places = threading.BoundedSemaphore(settings.BRIDGE_WAITS)


class BridgeUnavailableError(ProviderFailedError):
    """No agent of a bridge that the integration selects was seen in the last minute. The provider was not asked."""

    slug = "bridge-unavailable"
    remedy = "Start an agent of the bridge; its status lists the agents that are connected."


class BridgeBusyError(UnavailableError):
    """As many requests as may are waiting for the agents of bridges. The provider was not asked."""

    slug = "bridge-busy"
    remedy = "Try again in a moment; if it happens often, see SYNQMGR_BRIDGE_WAITS and start more agents."


@dataclasses.dataclass(frozen=True, slots=True)
class BridgeSender:
    """Sends requests through the bridge that an integration of an account selects, and never directly."""

    account_id: str
    selector: dict[str, Any]

    def __call__(self, request: OutboundRequest) -> OutboundAnswer:
        bridge_id = self.choose()
        if not _places.acquire(blocking=False):
            raise BridgeBusyError("too many requests of this process wait for bridges")
        try:
            row = enqueue(bridge_id=bridge_id, request=request)
            try:
                meter(api_ops=1, out_bytes=len(request.body))
                answer = wait_for_answer(row=row, request=request)
                meter(in_bytes=len(answer.body))
                return answer
            finally:
                BridgeRequest.objects.filter(id=row.id).delete()
        finally:
            _places.release()

    def choose(self) -> str:
        """The selected bridge whose agent was seen last."""
        bridges = Bridge.objects.unnarrowed().filter(account_id=self.account_id)
        value = self.selector["value"]
        if self.selector["type"] == "id":
            bridges = bridges.filter(id=value)
        else:
            labels = set(value)
            bridges = bridges.filter(label_rows__label__in=labels).annotate(found=Count("label_rows"))
            bridges = bridges.filter(found=len(labels))
        ids = [bridge.id for bridge in bridges.only("id")]
        if not ids:
            raise BridgeUnavailableError("the account has no bridge such as the integration selects")
        agents = BridgeAgent.objects.filter(bridge_id__in=ids, seen_at__gt=timezone.now() - LATELY)
        nearest: str | None = agents.order_by("-seen_at").values_list("bridge_id", flat=True).first()
        if nearest is None:
            raise BridgeUnavailableError("no agent of the bridge is connected")
        return nearest


def enqueue(*, bridge_id: str, request: OutboundRequest) -> BridgeRequest:
    """A new row for the bridge's agents to take, committed at once."""
    now = timezone.now()
    row: BridgeRequest = BridgeRequest.in_scope(
        id=new_id(), bridge_id=bridge_id, expires_at=now + dt.timedelta(seconds=request.limits.total)
    )
    row.request = seal(place_of(row, "request"), pack_request(row.id, request))
    try:
        with transaction.atomic(durable=True):
            waiting = BridgeRequest.objects.filter(bridge_id=bridge_id, expires_at__gt=now).count()
            if waiting >= MOST_WAITING:
                raise BridgeBusyError(f"{waiting} requests wait for the agents of the bridge")
            row.save(force_insert=True)
    except IntegrityError:
        raise BridgeUnavailableError(DELETED) from None
    return row


def wait_for_answer(*, row: BridgeRequest, request: OutboundRequest) -> OutboundAnswer:
    """The answer that an agent brings within the time that the request has."""
    pause, taken = FIRST_PAUSE, None
    while (left := (row.expires_at - timezone.now()).total_seconds()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.3, LONGEST_PAUSE)
        found = BridgeRequest.objects.filter(id=row.id).values_list("agent_id", "answer").first()
        if found is None:
            raise BridgeUnavailableError(DELETED)
        taken, answer = found
        if answer is not None:
            return _checked(read_answer(open_sealed(place_of(row, "answer"), bytes(answer))), request)
    allowed = f"{request.limits.total:g} s in all"
    if taken is None:
        raise ProviderTimeoutError(f"no agent of the bridge took the request in time: {allowed}.")
    raise ProviderTimeoutError(f"the agent of the bridge brought no answer in time: {allowed}.")


def _checked(answer: OutboundAnswer | ProblemError, request: OutboundRequest) -> OutboundAnswer:
    if isinstance(answer, ProblemError):
        raise answer
    most = request.limits.answer
    if len(answer.body) > most:
        raise ProviderFailedError(f"the agent of the bridge brought an answer of more than {most} bytes.")
    return answer


def take_request(*, bridge_id: str, agent_id: str) -> bytes | None:
    """The oldest request that waits for an agent of the bridge, for this agent alone; None when there is none."""
    now = timezone.now()
    waiting = BridgeRequest.objects.filter(bridge_id=bridge_id, agent_id=None, expires_at__gt=now)
    for row_id in waiting.order_by("id").values_list("id", flat=True)[:MOST_WAITING]:
        if waiting.filter(id=row_id).update(agent_id=agent_id):  # else another agent was faster
            row = BridgeRequest.objects.get(id=row_id)
            request_id, request = unpack_request(open_sealed(place_of(row, "request"), bytes(row.request)))
            left = max(0.1, (row.expires_at - now).total_seconds() - WAY_BACK)
            limits = dataclasses.replace(request.limits, total=left)
            return pack_request(request_id, dataclasses.replace(request, limits=limits))
    return None


def bring_answer(*, bridge_id: str, agent_id: str, request_id: str, raw: bytes) -> bool:
    """Keeps an answer for whoever waits for it; whether anybody still does."""
    taken = BridgeRequest.objects.filter(bridge_id=bridge_id, agent_id=agent_id, id=request_id, answer=None)
    row = taken.filter(expires_at__gt=timezone.now()).first()
    if row is None:
        return False
    read_answer(raw)
    return bool(taken.update(answer=seal(place_of(row, "answer"), raw)))


def place_of(row: BridgeRequest, part: str) -> Place:
    return Place(row.organization_id, "bridge_request", row.bridge_id, f"{row.id} {part}", 1)
