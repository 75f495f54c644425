"""The work of a run: one attempt to deliver, and what follows from its result."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Literal

import structlog
from django.db import Error
from django.db.models import F
from django.utils import timezone

from core.errors import ProblemError
from core.ledger.services import Claim, Outcome, postpone
from core.outbound import Limits, OutboundAnswer, OutboundRequest, send
from events.deliveries.lanes import lane
from events.deliveries.models import Delivery, DeliveryAttempt, DeliveryState
from events.deliveries.services import KIND, pending_of
from events.webhooks.models import DisabledReason, OrganizationWebhook
from events.webhooks.services import give_up, secrets_of
from events.webhooks.signatures import signature_headers

log = structlog.get_logger("synqmgr.events")
# Pauses before the attempts after the first: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h.
PAUSES = tuple(dt.timedelta(seconds=each) for each in (5, 300, 1800, 7200, 18_000, 36_000, 36_000))
JITTER = 0.2  # of a pause, at most
LIMITS = Limits(answer=2048, truncate=True)  # 3 s to connect, 15 s in all
ENDLESS = dt.timedelta(days=5)
TURN = dt.timedelta(seconds=LIMITS.total)  # after which a slow receiver may have a place again


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What one attempt came to."""

    seconds: float
    status: int | None = None
    error: str | None = None
    answer: str | None = None

    @property
    def is_success(self) -> bool:
        return self.error is None


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """An attempt that got through."""

    webhook: OrganizationWebhook
    delivery_id: str
    result: Result
    at: dt.datetime

    @property
    def ended(self) -> dt.datetime:
        return self.at + dt.timedelta(seconds=self.result.seconds)


class BusyError(Exception):
    """Somebody else is changing what is to be recorded: each by itself waits for its turn."""


class DeliveryWork:
    """The ledger's kind of run."""

    def __call__(self, claimed: Claim) -> Outcome:
        """Attempts the delivery of a claim."""
        (outcome,) = self.each_of([claimed])
        return outcome

    def each_of(self, hand: Sequence[Claim]) -> Generator[Outcome]:
        """Attempts the deliveries of some claims of one webhook in their order, up to the first that fails."""
        found = {each.id: each for each in Delivery.objects.filter(pk__in=[each.subject_id for each in hand])}
        ids = {each.webhook_id for each in found.values()}
        webhook: OrganizationWebhook | None = OrganizationWebhook.objects.filter(pk__in=ids).first()
        if webhook is None:
            yield from (_forgotten(claimed) for claimed in hand)
            return
        secrets = functools.cache(lambda: secrets_of(webhook=webhook, now=hand[0].at))
        with lane(webhook.id) as is_free:
            if not is_free:
                yield from _put_off(webhook, hand)
                return
            for claimed in hand:
                delivery = found.get(claimed.subject_id)
                if delivery is None:
                    yield _forgotten(claimed)
                elif webhook.disabled_at is not None or delivery.state != DeliveryState.PENDING:
                    yield _cancelled(claimed)
                else:
                    now = claimed.now()
                    result = _attempt(webhook, delivery, now, secrets)
                    yield _conclusion(webhook, delivery, result, now)
                    if not result.is_success:
                        return

    def give_up(self, claimed: Claim, error: str) -> Outcome:
        """What is left of a delivery that nobody could attempt."""

        def fail() -> None:
            pending = Delivery.objects.filter(pk=claimed.subject_id, state=DeliveryState.PENDING)
            pending.update(state=DeliveryState.FAILED, next_attempt_at=None, updated_at=claimed.at)

        return Outcome("failed", error=error, record=fail)


WORK = DeliveryWork()


def _put_off(webhook: OrganizationWebhook, hand: Sequence[Claim]) -> Iterator[Outcome]:
    """All that is due at a slow receiver waits, so that it is not claimed again and again in vain."""
    now = hand[0].at
    until = now + TURN
    postpone(kind=KIND, subject_ids=pending_of(webhook.id).values("id"), now=now, until=until)
    for _ in hand:
        yield Outcome("again", at=until, error="its receiver is slow and busy with another", is_attempt=False)


def _attempt(
    webhook: OrganizationWebhook, delivery: Delivery, now: dt.datetime, secrets_now: Callable[[], list[str]]
) -> Result:
    """Sends what is to be sent. Whatever goes wrong is a result."""
    started = time.monotonic()
    try:
        secrets = secrets_now()
        if not secrets:
            return Result(0.0, error="nothing was sent: the webhook has no secret to sign with that has not expired")
        body = delivery.body.encode()
        headers = signature_headers(message_id=delivery.id, at=now, body=body, secrets=secrets)
        answer = send(
            OutboundRequest(
                "POST", webhook.url, {**headers, "Content-Type": "application/json"}, body=body, limits=LIMITS
            )
        )
    except ProblemError as problem:
        return Result(time.monotonic() - started, error=problem.message)
    except Error:  # of the database, which says nothing about the receiver: nothing was sent
        raise
    except Exception:
        log.exception("delivery_broke", delivery_id=delivery.id)
        return Result(time.monotonic() - started, error="the service failed to send it; its log has the reason")
    return Result(time.monotonic() - started, answer.status, _complaint(answer), _readable(answer.body))


def _complaint(answer: OutboundAnswer) -> str | None:
    """Why an answer does not count as received."""
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return f"the receiver answered {answer.status}: redirects are not followed"
    return f"the receiver answered {answer.status}"


def _readable(body: bytes) -> str:
    """The beginning of an answer, as text that every database takes."""
    return body.decode("utf-8", "replace").replace("\x00", "\ufffd")


def _conclusion(webhook: OrganizationWebhook, delivery: Delivery, result: Result, now: dt.datetime) -> Outcome:
    """Done, again by the schedule, or failed; the attempt is written with it."""
    ended = now + dt.timedelta(seconds=result.seconds)
    reason: DisabledReason | None = None
    if result.status == 410:
        reason = DisabledReason.GONE
    elif not result.is_success and webhook.failing_since is not None and ended - webhook.failing_since >= ENDLESS:
        reason = DisabledReason.FAILING
    pause = PAUSES[delivery.step] if delivery.step < len(PAUSES) else None
    at: dt.datetime | None = None
    state: Literal["done", "failed", "again"] = "done" if result.is_success else "failed"
    if not result.is_success and reason is None and pause is not None:
        state, at = "again", ended + pause * random.uniform(1, 1 + JITTER)  # noqa: S311 - no secret

    def record() -> None:
        # The webhook before the delivery: whoever disables one locks in this order.
        rows = OrganizationWebhook.objects.filter(pk=webhook.pk)
        locked = rows.select_for_update(of=("self",)).first() if reason is not None else None
        _note(webhook, result, ended)
        _write(delivery, result, at, now)
        # Another attempt may have got through meanwhile.
        if reason is not None and locked is not None and (result.status == 410 or locked.failing_since is not None):
            give_up(webhook=locked, reason=reason)

    if result.is_success:
        sent = Sent(webhook, delivery.id, result, now)
        return Outcome("done", record=record, found=sent, record_all=_record_sent)
    return Outcome(state, at=at, error=result.error or "", record=record)


def _record_sent(all_sent: list[Sent]) -> None:
    """What several attempts at one webhook that got through make of their deliveries."""
    ids, last = [sent.delivery_id for sent in all_sent], all_sent[-1]
    _note(last.webhook, last.result, last.ended)
    # Whoever disables a webhook locks its deliveries in an order of his own: waiting for him could be a deadlock.
    free = Delivery.objects.filter(pk__in=ids).select_for_update(of=("self",), skip_locked=True)
    counts = dict(free.values_list("id", "attempt_count"))
    if len(counts) < len(ids):
        raise BusyError("some of the deliveries are locked or gone")
    for status in {sent.result.status for sent in all_sent}:
        Delivery.objects.filter(pk__in=[sent.delivery_id for sent in all_sent if sent.result.status == status]).update(
            state=DeliveryState.DELIVERED,
            attempt_count=F("attempt_count") + 1,
            step=F("step") + 1,
            status_code=status,
            next_attempt_at=None,
            updated_at=timezone.now(),
        )
    DeliveryAttempt.objects.bulk_create(
        [_row(sent.delivery_id, counts[sent.delivery_id] + 1, sent.result, sent.at) for sent in all_sent]
    )


def _note(webhook: OrganizationWebhook, result: Result, now: dt.datetime) -> None:
    """Since when nothing has got through, as it is by now: attempts that overlap end in any order."""
    rows = OrganizationWebhook.objects.filter(pk=webhook.id)
    if result.is_success:
        rows.filter(failing_since__lt=now).update(failing_since=None)
    else:
        rows.filter(failing_since=None).update(failing_since=now)


def _write(seen: Delivery, result: Result, at: dt.datetime | None, now: dt.datetime) -> None:
    """The attempt's row, and what it makes of the delivery. One that is gone by now stays so."""
    delivery: Delivery | None = Delivery.objects.select_for_update(of=("self",)).filter(pk=seen.pk).first()
    if delivery is None:
        return
    delivery.attempt_count += 1
    delivery.step += 1
    delivery.status_code = result.status
    if result.is_success:
        delivery.state = DeliveryState.DELIVERED
    elif delivery.state == DeliveryState.PENDING and at is None:
        delivery.state = DeliveryState.FAILED
    delivery.next_attempt_at = at if delivery.state == DeliveryState.PENDING else None
    delivery.touch()
    delivery.save(update_fields=["attempt_count", "step", "status_code", "state", "next_attempt_at", "updated_at"])
    _row(delivery.id, delivery.attempt_count, result, now).save(force_insert=True)


def _row(delivery_id: str, number: int, result: Result, at: dt.datetime) -> DeliveryAttempt:
    return DeliveryAttempt.in_scope(
        delivery_id=delivery_id,
        number=number,
        created_at=at,
        duration_ms=round(result.seconds * 1000),
        status_code=result.status,
        error=result.error and result.error[:1024],
        answer=result.answer,
    )


def _cancelled(claimed: Claim) -> Outcome:
    """There is nothing to send any more."""
    pending = Delivery.objects.filter(pk=claimed.subject_id, state=DeliveryState.PENDING)
    end = functools.partial(pending.update, state=DeliveryState.CANCELLED, next_attempt_at=None)
    return Outcome("failed", error="it was cancelled", record=end)


def _forgotten(claimed: Claim) -> Outcome:
    """A delivery that was queued while its webhook was being deleted."""
    return Outcome("failed", error="the webhook is gone", record=Delivery.objects.filter(pk=claimed.subject_id).delete)
