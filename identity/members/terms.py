"""How long a password is good, by the organization's rules as they are now. Times are the wire's text."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from core.durations import duration_of
from core.instants import format_instant

Rules = Mapping[str, Any]  # the organization's `options`
_USUAL = {"password_duration": "4320h", "invite_duration": "168h", "forgot_duration": "24h"}


def rotation_end(pin_expires: str, set_at: str, rules: Rules) -> str:
    """When the organization wants another password: at once, if this one was given for one log-on."""
    return pin_expires if pin_expires <= set_at else end_by(rules, "password_duration", set_at)


def end_by(rules: Rules, option: str, start: str) -> str:
    """When what began at a time ends by one of the organization's durations."""
    length = duration_of(rules.get(option) or _USUAL[option])
    return format_instant(dt.datetime.fromisoformat(start) + length)
