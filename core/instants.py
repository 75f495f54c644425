"""Points in time as the wire shows and takes them: RFC 3339 in UTC with six digits of a second."""

from __future__ import annotations

import datetime as dt
import re

import orjson

_INSTANT = re.compile(
    "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.][0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def format_instant(value: dt.datetime) -> str:
    """RFC 3339 in UTC with six digits of a second, as the wire shows every time."""
    utc = value if value.tzinfo is dt.UTC else value.astimezone(dt.UTC)
    if not utc.microsecond:  # which orjson leaves out
        return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return orjson.dumps(utc, option=orjson.OPT_UTC_Z)[1:-1].decode()  # in a third of the time of `isoformat`


def now_text() -> str:
    """This very moment, as `format_instant` shows it."""
    return format_instant(dt.datetime.now(dt.UTC))


def read_instant(text: str) -> dt.datetime | None:
    """A time in RFC 3339, in UTC; None when it is none."""
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        return dt.datetime.fromisoformat(text.upper()).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def read_day_or_instant(text: str) -> dt.datetime | None:
    """A time in RFC 3339, or a date, which is its midnight in UTC; None when it is neither."""
    return read_instant(f"{text}T00:00:00Z" if _DATE.fullmatch(text) else text)
