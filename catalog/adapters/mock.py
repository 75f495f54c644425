"""The adapter that all mock providers share: made-up data that stays the same, and faults on request.

What a stream holds follows from the integration's id and the time alone, so reading it again gives the same.
"""

from __future__ import annotations

import datetime as dt
import math
import random
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from catalog.adapters.conditions import Condition, read_condition, value_at
from catalog.adapters.interface import Page, ProviderThrottledError, Query, Record
from catalog.adapters.mock_data import STREAMS, Stream
from catalog.errors import CredentialRejectedError, UnexpectedAnswerError
from core.columns import format_instant, read_instant
from core.errors import ProviderTimeoutError

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
        sample = object_of(stream, f"sample:{operation}", 0, START, START)
        for text in filters:
            condition = read_condition(text)
            if condition is None:
                return f"the filter {text[:100]!r} is not written `field[operator]value`"
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
        field = query.time_field or stream.time_field
        since = format_instant(query.since) if query.since else ""
        until = format_instant(query.until)
        kept = sorted(
            (value_at(data, field), uid, data)
            for uid, data in objects_of(stream, f"{query.seed}:{query.operation}", query)
            if since < value_at(data, field) <= until and all(each.keeps(data) for each in conditions)
        )
        if cursor:
            kept = [each for each in kept if f"{each[0]},{each[1]}" > cursor]
        page = kept[:PAGE_SIZE]
        following = f"{page[-1][0]},{page[-1][1]}" if len(kept) > PAGE_SIZE else ""
        items = [{"id": uid, "time": at, "data": data} for at, uid, data in page]
        return orjson.dumps({"items": items, "next": following})

    def _parsed(self, answer: bytes) -> Page:
        try:
            read: dict[str, Any] = orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise UnexpectedAnswerError(f"{self.fullname} did not answer as expected: it sent no JSON.") from error
        records = [Record(each["id"], read_instant(each["time"]), each["data"]) for each in read["items"]]
        return Page(records, read["next"])


def objects_of(stream: Stream, seed: str, query: Query) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a stream holds at the end of the query's time: the last version of each object, or every event."""
    earliest = query.since or query.until - YEAR
    for i in range(stream.size):
        pace = random.Random(f"{seed}:{i}")  # noqa: S311 - made-up data
        begin = START + pace.random() * (DAY if stream.is_event else YEAR)
        period = DAY if stream.is_event else DAY * pace.randint(1, 20)
        last = (query.until - begin) // period
        first = max(0, (earliest - begin) // period) if stream.is_event else last
        for version in range(first, last + 1 if last >= 0 else first):
            data = object_of(stream, f"{seed}:{i}", version, begin, begin + version * period)
            yield str(data["metadata"]["uid"]), data


def object_of(stream: Stream, seed: str, version: int, created: dt.datetime, changed: dt.datetime) -> dict[str, Any]:
    """One object: what it is stays, what changes follows from its version."""
    same = f"{seed}:{version}" if stream.is_event else seed
    uid = random.Random(f"uid:{same}").getrandbits(64)  # noqa: S311 - made-up data
    now = random.Random(f"{seed}:{version}")  # noqa: S311 - made-up data
    data = stream.make(random.Random(same), now)  # noqa: S311 - made-up data
    data["metadata"] = {"uid": f"{uid:016x}", "version": str(version + 1)}
    for path in stream.time_fields:
        target = data
        *steps, last = path.split(".")
        for step in steps:
            target = target.setdefault(step, {})
        target[last] = format_instant(created if "created" in last or "first" in last else changed)
    return data
