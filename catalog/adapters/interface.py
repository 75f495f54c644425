"""What an adapter is asked and what it gives. It knows nothing of runs, integrations or tables."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from core.errors import ProviderFailedError, ProviderTimeoutError, UnavailableError
from core.outbound import Sender, send


class ProviderThrottledError(ProviderFailedError):
    """The provider answered that there were too many requests. Its `Retry-After` goes into `headers`."""

    slug = "provider-throttled"
    remedy = "Nothing need be done: the work goes on when the provider takes requests again."

    @property
    def seconds(self) -> int | None:
        """How long to wait, if the provider said so."""
        text = self.headers.get("Retry-After", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


# What goes by itself, so that asking again later may help.
PASSING = (ProviderThrottledError, ProviderTimeoutError, UnavailableError)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One object of a provider. `id` names the object, or the version of it, that `data` shows."""

    id: str
    time: dt.datetime | None  # what the time filter looks at
    data: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """What is to be read: what changed after `since` and not after `until`. Without `since` it is everything.

    `seed` is the integration's id, which makes the data of mocks. `secrets` are the opened credentials by the pointer
    of their member in `config`. `send` is the way out, such as a bridge: requests leave by it and by nothing else.
    """

    operation: str
    seed: str
    until: dt.datetime
    since: dt.datetime | None = None
    now: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))
    filters: tuple[str, ...] = ()
    time_field: str = ""  # the operation's own if empty
    patience: float = 15.0  # seconds that one answer may take
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    secrets: Mapping[str, tuple[str, Mapping[str, Any]]] = dataclasses.field(default_factory=dict, repr=False)
    send: Sender = send


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """Some records, and where the next page starts; nothing on the last."""

    records: Sequence[Record]
    following: str = ""


class Source(Protocol):
    """Reads from a provider. `read` raises a ProblemError for whatever the provider does; `PASSING` ones are retried.

    Of one query every page is the same whenever it is read again, as far as the provider allows.
    """

    fullname: str  # of the provider
    operations: frozenset[str]

    def objection(self, *, operation: str, filters: Sequence[str], time_field: str) -> str:
        """Why an operation cannot be read like this; empty if it can."""

    def read(self, query: Query, cursor: str) -> Page:
        """One page: the first without a cursor."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """Records for a sink. It keeps one of each `execution_id` and `id`, however often it is delivered."""

    integration_id: str  # of the sink
    execution_id: str
    operation: str
    records: Sequence[Record]


class Sink(Protocol):
    """Takes records. `write` raises a ProblemError if they are not taken."""

    def write(self, delivery: Delivery) -> None:
        """Keeps what is delivered, all of it or none."""
