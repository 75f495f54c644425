"""The adapter of custom providers: it reads what their definitions say can be scheduled."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from catalog.adapters.conditions import objection_to, read_condition
from catalog.adapters.interface import Page, ProviderThrottledError, Query, Record
from catalog.customs.calls import Connection, call_operation
from catalog.customs.definitions import Definition, scheduled_of
from catalog.errors import ProviderBusyError, UnexpectedAnswerError
from catalog.signin import SignIn
from core.instants import format_instant, read_instant
from core.outbound import Limits
from core.parsing import value_at

LONGEST_ID = 255
MILLISECONDS = 10**11  # from which on a number is no time in seconds


class CustomSource:
    """Reads from one custom provider. Access tokens are kept as long as the source."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.fullname: str = definition["name"]
        self.names = scheduled_of(definition)
        self.operations = frozenset(self.names)
        self.signed: dict[str, SignIn] = {}

    def objection(self, *, operation: str, filters: Sequence[str], time_field: str) -> str:
        if time_field:
            return "`time_filter_field` is what the custom provider's definition says, and cannot be another"
        return objection_to(filters)

    def read(self, query: Query, cursor: str) -> Page:
        name = self.names[query.operation]
        connection = Connection(
            definition=self.definition,
            config=query.config,
            secrets=query.secrets,
            subject=query.seed,
            send=query.send,
            limits=Limits(total=query.patience),
            signed=self.signed,
        )
        try:
            page = call_operation(
                connection=connection, operation=name, arguments=arguments_of(query), cursor=cursor or None
            )
        except ProviderBusyError as problem:
            raise ProviderThrottledError(problem.message, headers=problem.headers) from problem
        records = self._records(page.result, self.definition["operations"][name]["schedule"])
        kept = [record for record in records if is_wanted(record, query)]
        return Page(kept, without_secrets(page.next or "", query))

    def _records(self, result: Any, schedule: Mapping[str, Any]) -> list[Record]:
        objects = [] if result is None else result
        if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
            raise UnexpectedAnswerError(f"{self.fullname} did not answer as expected: it sent no list of objects.")
        return [self._record(each, schedule) for each in objects]

    def _record(self, data: dict[str, Any], schedule: Mapping[str, Any]) -> Record:
        named = value_at(data, schedule["id"])
        if isinstance(named, bool) or not isinstance(named, str | int) or not 0 < len(str(named)) <= LONGEST_ID:
            raise UnexpectedAnswerError(
                f"{self.fullname} did not answer as expected: at `{schedule['id']}` an object has no text of up to "
                f"{LONGEST_ID} characters and no whole number."
            )
        if "time" not in schedule:
            return Record(str(named), None, data)
        time = read_time(value_at(data, schedule["time"]))
        if time is None:
            raise UnexpectedAnswerError(
                f"{self.fullname} did not answer as expected: the object {str(named)[:64]!r} has no time at "
                f"`{schedule['time']}`."
            )
        return Record(str(named), time, data)


def arguments_of(query: Query) -> dict[str, Any]:
    """The window of time as an operation's inputs."""
    since = start_of(query)
    given: dict[str, Any] = {"until": format_instant(query.until), "until_unix": math.ceil(query.until.timestamp())}
    return given if since is None else {**given, "since": format_instant(since), "since_unix": int(since.timestamp())}


def start_of(query: Query) -> dt.datetime | None:
    """The beginning of the window: a whole second, since providers may leave the rest of a time out."""
    return query.since and query.since.replace(microsecond=0)


def is_wanted(record: Record, query: Query) -> bool:
    """Whether a record is in the window and passes the filters, whatever the provider made of them."""
    if record.time is not None and not (start_of(query) or record.time) <= record.time <= query.until:
        return False
    conditions = (read_condition(text) for text in query.filters)
    return all(each.keeps(record.data) for each in conditions if each is not None)


def read_time(value: Any) -> dt.datetime | None:
    """A time as providers write it: a text, or the seconds or milliseconds since 1970."""
    if isinstance(value, str):
        return read_instant(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return dt.datetime.fromtimestamp(value / 1000 if abs(value) >= MILLISECONDS else value, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None


def without_secrets(cursor: str, query: Query) -> str:
    """The address of a next page without parameters that repeat the credential: it is kept, shown, and signed anew."""
    place, mark, parameters = cursor.partition("?")
    secrets = {each for _, secret in query.secrets.values() for each in secret.values() if each}
    given = parse_qsl(parameters, keep_blank_values=True)
    kept = [(name, value) for name, value in given if value not in secrets]
    return cursor if len(kept) == len(given) else place + (mark + urlencode(kept) if kept else "")
