"""Queueing deliveries, sending them again, cancelling and deleting them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import orjson
from django.db.models import QuerySet
from django.utils import timezone

from core.columns import new_id
from core.errors import ConflictError
from core.ledger.models import Run, RunState
from core.ledger.services import cancel, enqueue, enqueue_all, recall
from core.pruning import delete_in_batches
from core.tenancy import unscoped
from events.deliveries.models import Delivery, DeliveryAttempt, DeliveryState

KIND = "delivery"  # of runs in the ledger
MOST_RECOVERED = 500  # by one request
BATCH = 500  # cancelled or deleted by one request or transaction


class DeliveryUnderWayError(ConflictError):
    """The delivery is being attempted at this moment."""

    slug = "delivery-under-way"
    remedy = "Look at the delivery again in a few seconds; an attempt takes 15 at most."


@dataclasses.dataclass(frozen=True, slots=True)
class About:
    """The objects that an event is about."""

    account_id: str | None = None
    integration_id: str | None = None
    category: str | None = None


def queue_delivery(*, webhook_id: str, payload: dict[str, Any], about: About) -> Delivery:
    """A delivery to be made at once, durable with the caller's transaction. Its id is the payload's nonce."""
    delivery = Delivery.in_scope(
        id=new_id(), webhook_id=webhook_id, event=payload["event"], **dataclasses.asdict(about)
    )
    delivery.body = orjson.dumps({**payload, "nonce": delivery.id}).decode()
    delivery.next_attempt_at = delivery.created_at
    delivery.save(force_insert=True)
    enqueue(kind=KIND, subject_id=delivery.id, lane_id=webhook_id)
    return delivery


def resend(*, delivery: Delivery) -> None:
    """Sends a locked delivery again at once, by a schedule of its own. What it waited for is off."""
    if recall(kind=KIND, subject_ids=[delivery.id]):
        raise DeliveryUnderWayError("the delivery is being attempted right now")
    delivery.state, delivery.step, delivery.next_attempt_at = DeliveryState.PENDING, 0, timezone.now()
    delivery.touch()
    delivery.save(update_fields=["state", "step", "next_attempt_at", "updated_at"])
    enqueue(kind=KIND, subject_id=delivery.id, lane_id=delivery.webhook_id)


def recover(*, webhook_id: str, since: dt.datetime) -> tuple[int, bool]:
    """Sends again what has not got through since a time, the oldest first: how many, and whether there are more."""
    lost = Delivery.objects.filter(
        webhook_id=webhook_id, state__in=(DeliveryState.FAILED, DeliveryState.CANCELLED), created_at__gte=since
    )
    held = lost.order_by("id").select_for_update().values_list("id", flat=True)
    ids = list(held[: MOST_RECOVERED + 1])
    taken, now = ids[:MOST_RECOVERED], timezone.now()
    busy = recall(kind=KIND, subject_ids=taken)  # was cancelled in the middle of an attempt
    free = [each for each in taken if each not in busy]
    Delivery.objects.filter(pk__in=free).update(
        state=DeliveryState.PENDING, step=0, next_attempt_at=now, updated_at=now
    )
    enqueue_all(kind=KIND, subject_ids=free, lane_id=webhook_id)
    return len(free), len(ids) > len(taken)


def pending_of(webhook_id: str) -> QuerySet[Delivery, Delivery]:
    return Delivery.objects.unnarrowed().filter(webhook_id=webhook_id, state=DeliveryState.PENDING)


def cancel_pending(*, webhook_id: str, before: dt.datetime) -> bool:
    """Ends some of what was to be sent to a locked webhook before a time. Says whether that was all of it."""
    waiting = pending_of(webhook_id).filter(created_at__lte=before).order_by("id")
    ids = list(waiting.values_list("id", flat=True)[: BATCH + 1])
    now, some = timezone.now(), ids[:BATCH]
    cancel(kind=KIND, subject_ids=some)
    pending_of(webhook_id).filter(pk__in=some).update(
        state=DeliveryState.CANCELLED, next_attempt_at=None, updated_at=now
    )
    return len(ids) == len(some)


def delete_deliveries(*, webhook_id: str) -> bool:
    """Deletes some deliveries of a webhook that is gone. Says whether those were all of them."""
    ids = list(Delivery.objects.unnarrowed().filter(webhook_id=webhook_id).values_list("id", flat=True)[: BATCH + 1])
    some = ids[:BATCH]
    cancel(kind=KIND, subject_ids=some)
    DeliveryAttempt.objects.unnarrowed().filter(delivery_id__in=some).delete()
    Delivery.objects.unnarrowed().filter(pk__in=some).delete()
    return len(ids) == len(some)


def prune_deliveries(*, before: dt.datetime) -> int:
    """Deletes deliveries that ended before a time. Gives the number of rows, their attempts included.

    What waits for a run that a worker's death ended is settled as failed first, so that nothing waits forever.
    """
    with unscoped("deliveries end by their age, whosever they are"):
        ended = Run.objects.filter(kind=KIND, state=RunState.FAILED)
        live = Run.objects.filter(kind=KIND, state__in=(RunState.WAITING, RunState.RUNNING))
        stuck = Delivery.objects.filter(state=DeliveryState.PENDING, id__in=ended.values("subject_id"))
        stuck.exclude(id__in=live.values("subject_id")).update(
            state=DeliveryState.FAILED, next_attempt_at=None, updated_at=timezone.now()
        )
        old = Delivery.objects.filter(updated_at__lt=before).exclude(state=DeliveryState.PENDING)
        attempts = delete_in_batches(DeliveryAttempt.objects.filter(delivery_id__in=old.values("id")))
        return attempts + delete_in_batches(old)
