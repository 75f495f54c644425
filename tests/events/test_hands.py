"""Deliveries to one receiver that one thread makes one after the other."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.columns import new_id
from core.ledger.fairness import Room
from core.ledger.models import Run, RunState
from core.ledger.performing import perform_hand
from core.ledger.services import claim_hands
from core.ledger.worker import HAND, Heart, work_until_idle
from core.tenancy import scoped
from tests.api import Api
from tests.events.receiver import BROKEN, OK, WEBHOOKS, Clock, Receiver, answer, deliveries, details, make_webhook
from tests.objects import make_account, ok


def states(api: Api, webhook: dict[str, Any]) -> list[str]:
    return [each["state"] for each in deliveries(api, webhook)]


def work_by_hands(clock: Clock) -> int:
    return work_until_idle(Heart(), clock, size=HAND)


def test_hand__of_deliveries__is_sent_in_order_and_recorded_together(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(5):
        make_account(acme)
    receiver.scripts = [answer("201 Created"), OK]
    with CaptureQueriesContext(connection) as queries:
        assert work_by_hands(clock) == 5
    assert sum(each["sql"].startswith('UPDATE "core_run"') for each in queries) == 1
    listed = deliveries(acme, webhook)
    assert [each.headers["webhook-id"] for each in receiver.requests] == [each["id"] for each in listed]
    assert [(each["state"], each["status_code"]) for each in listed] == [("delivered", 201)] + [("delivered", 200)] * 4
    for each in listed:
        (attempt,) = details(acme, each)["attempts"]
        assert (attempt["number"], attempt["status_code"]) == (1, each["status_code"])
    with scoped(acme.scope):
        assert set(Run.objects.values_list("state", "attempts", "fence")) == {(RunState.DONE, 1, 1)}


def test_hand__in_which_one_fails__gives_back_the_rest(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(5):
        make_account(acme)
    receiver.scripts = [OK, OK, BROKEN, OK]
    (hand,) = claim_hands(worker_id=new_id(), room=Room(1, 1, HAND), now=clock(), kinds=["delivery"])
    perform_hand(hand)
    assert states(acme, webhook) == ["delivered", "delivered", "pending", "pending", "pending"]
    assert len(receiver.requests) == 3
    assert work_by_hands(clock) == 2
    clock.forward(seconds=7)
    assert work_by_hands(clock) == 1
    assert states(acme, webhook) == ["delivered"] * 5
    with scoped(acme.scope):
        assert (
            list(Run.objects.order_by("id").values_list("attempts", "lapses")) == [(1, 0)] * 2 + [(2, 0)] + [(1, 0)] * 2
        )


def test_hand__of_which_one_was_lost__records_the_others(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(3):
        make_account(acme)
    (hand,) = claim_hands(worker_id=new_id(), room=Room(1, 1, HAND), now=clock(), kinds=["delivery"])
    with scoped(acme.scope):
        Run.objects.filter(pk=hand[1].run_id).update(fence=7)  # another worker has it
    perform_hand(hand)
    assert states(acme, webhook) == ["delivered", "pending", "delivered"]


def test_hand__whose_webhook_is_disabled__is_cancelled(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(3):
        make_account(acme)
    (hand,) = claim_hands(worker_id=new_id(), room=Room(1, 1, HAND), now=clock(), kinds=["delivery"])
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/disable"))
    perform_hand(hand)
    assert states(acme, webhook) == ["cancelled"] * 3
    assert receiver.requests == []
    assert work_by_hands(clock) == 0
