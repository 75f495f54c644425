"""Slow receivers: one thread of a worker is for each, the others are for everybody else."""

from __future__ import annotations

import pytest

from events.deliveries import lanes
from events.deliveries.lanes import lane
from tests.api import Api
from tests.events.receiver import Clock, Receiver, deliveries, make_webhook
from tests.objects import make_account


def test_lane__of_a_fast_receiver__has_places_for_all() -> None:
    with lane("fast") as first, lane("fast") as second:
        assert (first, second) == (True, True)


def test_lane__of_a_slow_receiver__has_one_until_it_is_fast_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "SLOW", 0.0)
    with lane("slow"):
        pass
    with lane("slow") as first, lane("slow") as second, lane("other") as third:
        assert (first, second, third) == (True, False, True)
        monkeypatch.setattr(lanes, "SLOW", 60.0)
    with lane("slow") as first, lane("slow") as second:
        assert (first, second) == (True, True)
    assert not lanes._in_hand


def test_deliveries__to_a_slow_receiver_that_is_busy__wait_together(
    acme: Api, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(3):
        make_account(acme)
    monkeypatch.setattr(lanes, "_slow", {webhook["id"]: None})
    with lane(webhook["id"]):
        assert clock.work() == 1  # the first finds the lane taken, and the others are put off with it
    assert {each["attempt_count"] for each in deliveries(acme, webhook)} == {0}
    assert clock.work() == 0
    clock.forward(seconds=16)
    assert clock.work() == 3
    assert {each["state"] for each in deliveries(acme, webhook)} == {"delivered"}
