"""The adapter that all mock providers share: made-up data that stays the same, and faults on request.

What a stream holds follows from the integration's id and the time alone, so reading it again gives the same.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from catalog.adapters.conditions import Condition, objection_to, read_condition, value_at
from catalog.adapters.interface import Page, ProviderThrottledError, Query, Record
from catalog.adapters.mock_data import STREAMS, Stream
from catalog.errors import CredentialRejectedError, UnexpectedAnswerError
from core.errors import ProviderTimeoutError
from core.instants import format_instant, read_instant

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)  # before which no mock knows of anything
YEAR = dt.timedelta(days=365)
DAY = dt.timedelta(days=1)
PAGE_SIZE = 100
FAULT = "mock.fault"  # the field of a filter that asks for one of these
FAULTS = ("too_many_requests", "expired_token", "slow", "malformed")
RETRY_AFTER = 30.0  # seconds for which the mock takes no requests once it had too many


class MockSource:
    """Made-up data of the operations of one connector."""

    def __init__(self, fullname: str, connector_id: str) -> None:
        self.fullname = fullname
        self.operations = frozenset(each for each in STREAMS if each.startswith(f"{connector_id}_"))

    def objection(self, *, operation: str, filters: Sequence[str], time_field: str) -> str:
        stream = STREAMS[operation]
        if time_field and time_field not in stream.time_fields:
            return f"`time_filter_field` is none of {', '.join(stream.time_fields)}"
        sample = Version(START, "sample", f"sample:{operation}", 0, START, START).build(stream)
        if objection := objection_to(filters):
            return objection
        for condition in filter(None, map(read_condition, filters)):
            if condition.field == FAULT:
                if condition.op != "eq" or condition.value not in FAULTS:
                    return f"`{FAULT}[eq]` takes one of {', '.join(FAULTS)}"
            elif value_at(sample, condition.field) is None:
                return f"{condition.field!r} cannot be filtered by"
        return ""

    def read(self, query: Query, cursor: str) -> Page:
        conditions = [each for each in map(read_condition, query.filters) if each is not None]
        faults = {each.value for each in conditions if each.field == FAULT}
        self._fail(query, cursor, faults)
        answer = self._answer(query, cursor, [each for each in conditions if each.field != FAULT])
        return self._parsed(answer[: len(answer) // 2] if "malformed" in faults else answer)

    def _fail(self, query: Query, cursor: str, faults: set[str]) -> None:
        """Takes one page and then none for a while, or refuses, or keeps the caller waiting."""
        waited = (query.now - query.until).total_seconds()
        if "too_many_requests" in faults and cursor and waited < RETRY_AFTER:
            message = f"{self.fullname} answered 429: too many requests"
            seconds = math.ceil(RETRY_AFTER - max(waited, 0.0))
            raise ProviderThrottledError(message, headers={"Retry-After": str(seconds)})
        if "expired_token" in faults:
            raise CredentialRejectedError(f"{self.fullname} answered 401: the token has expired")
        if "slow" in faults:
            time.sleep(query.patience)
            raise ProviderTimeoutError(f"{self.fullname} did not answer in {query.patience:g} seconds")

    def _answer(self, query: Query, cursor: str, conditions: Sequence[Condition]) -> bytes:
        """A page as the body of an HTTP answer would hold it."""
        stream = STREAMS[query.operation]
        page: list[dict[str, Any]] = []
        following = ""
        after = read_instant(cursor.partition(",")[0]) or START
        for version in versions_of(stream, f"{query.seed}:{query.operation}", query):
            if version.time < after:
                continue
            place = f"{format_instant(version.time)},{version.uid}"
            if place <= cursor:
                continue
            data = version.build(stream)
            if not all(each.keeps(data) for each in conditions):
                continue
            if len(page) == PAGE_SIZE:
                following = f"{page[-1]['time']},{page[-1]['id']}"
                break
            page.append({"id": version.uid, "time": format_instant(version.time), "data": data})
        return orjson.dumps({"items": page, "next": following})

    def _parsed(self, answer: bytes) -> Page:
        try:
            read: dict[str, Any] = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise UnexpectedAnswerError(f"{self.fullname} did not answer as expected: it sent no JSON.") from error
        records = [Record(each["id"], read_instant(each["time"]), each["data"]) for each in read["items"]]
        return Page(records, read["next"])


class Version(NamedTuple):
    """One state of an object, or one event: when it came to be, and what its data follows from."""

    time: dt.datetime  # what the time filter looks at
    uid: str
    seed: str  # of the object
    number: int
    created: dt.datetime
    changed: dt.datetime

    def build(self, stream: Stream) -> dict[str, Any]:
        """The data: what the object is stays, what changes follows from the version."""
        own = f"{self.seed}:{self.number}"
        same = random.Random(own if stream.is_event else self.seed)  # noqa: S311 - made-up data
        data = stream.make(same, random.Random(own))  # noqa: S311 - made-up data
        data["metadata"] = {"uid": self.uid, "version": str(self.number + 1)}
        for path in stream.time_fields:
            target = data
            *steps, last = path.split(".")
            for step in steps:
                target = target.setdefault(step, {})
            target[last] = format_instant(self.created if is_first(path) else self.changed)
        return data


def versions_of(stream: Stream, seed: str, query: Query) -> list[Version]:
    """What a query finds, by time: of an object its last state at the end, of events all."""
    since = query.since or START
    by_creation = is_first(query.time_field)
    found = []
    for i in range(stream.size):
        own = f"{seed}:{i}"
        pace = random.Random(own)  # noqa: S311 - made-up data
        created = START + pace.random() * (DAY if stream.is_event else YEAR)
        period = DAY if stream.is_event else DAY * pace.randint(1, 20)
        last = (query.until - created) // period
        first = max(0, (max(since, query.until - YEAR) - created) // period) if stream.is_event else max(0, last)
        for number in range(first, last + 1):
            changed = created + number * period
            time = created if by_creation else changed
            if query.since is None or query.since < time <= query.until:
                uid = hashlib.blake2s(f"{own}:{number if stream.is_event else ''}".encode(), digest_size=8).hexdigest()
                found.append(Version(time, uid, own, number, created, changed))
    return sorted(found)


def is_first(path: str) -> bool:
    """Whether a time is that of an object's beginning."""
    return "created" in path or "first" in path
