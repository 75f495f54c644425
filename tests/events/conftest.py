"""A receiver and a clock for the tests of webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.events.receiver import Clock, Receiver, receiving


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A receiver in a network that the operator has opened."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    with receiving() as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()
