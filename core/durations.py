"""Durations as the wire writes them: `720h`, `30m`, `10s`, or several in a row."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from core.fields import StringField

PATTERN = r"(?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,8}s)?"
_PARTS = re.compile(r"(?:([0-9]{1,3})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,8})s)?\Z", re.ASCII)


def parse_duration(text: str) -> dt.timedelta | None:
    """A duration, or None when the text is not one. Zero is not one."""
    match = _PARTS.match(text)
    if match is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds) or None


def duration_of(text: str) -> dt.timedelta:
    """How long a text is that is known to be a duration."""
    duration = parse_duration(text)
    if duration is None:
        raise ValueError(f"{text!r} is not a duration")
    return duration


class DurationField(StringField):
    """A duration between two bounds, kept as it is written. With `days` it may also be written as `1d`."""

    default_error_messages = {
        "duration": "must be a duration such as 720h, 30m or 10s",
        "bounds": "must be from {least} to {most}",
    }

    def __init__(self, *, least: str = "1s", most: str = "8760h", days: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 24)
        super().__init__(**kwargs)
        self.least, self.most, self.days = least, most, days

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        duration = parse_duration(text)
        if duration is None or ("d" in text and not self.days):
            self.fail("duration")
        least, most = parse_duration(self.least), parse_duration(self.most)
        if least and most and not least <= duration <= most:
            self.fail("bounds", least=self.least, most=self.most)
        return text
