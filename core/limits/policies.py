"""Policies: the table of limits in the settings, with what the environment changes in it, and who a subject is."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured

from core.network import parse_address

_CHANGE = re.compile(r"([a-z_]+)=(?:(off)|([1-9][0-9]{0,11})/([1-9][0-9]{0,5}))\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    """So many requests for each subject in a window of so many seconds. A limit of 0 is none."""

    name: str
    subject: str  # what is counted apart: an address, a token, an organization
    limit: int
    window: int


def read_limits(table: Mapping[str, tuple[str, int, int]], changes: str = "") -> dict[str, Policy]:
    """The policies of a table by name. `changes` is `off`, or rows such as `token=600/60,stranger=off`."""
    policies = {name: Policy(name, *row) for name, row in table.items()}
    if changes.strip() == "off":
        return {name: dataclasses.replace(policy, limit=0) for name, policy in policies.items()}
    for change in filter(None, (part.strip() for part in changes.split(","))):
        match = _CHANGE.match(change)
        if match is None or match[1] not in policies:
            raise ImproperlyConfigured(
                f"SYNQMGR_LIMITS: {change!r} is not `name=requests/seconds` or `name=off` with a name of "
                f"{', '.join(policies)}; `off` alone turns all limits off."
            )
        name, off, limit, window = match.groups()
        row = (0, policies[name].window) if off else (int(limit), int(window))
        policies[name] = Policy(name, policies[name].subject, *row)
    return policies


def address_subject(address: str) -> str:
    """Who an address is: a host of IPv4, a network of 64 bits of IPv6, of which one caller has them all."""
    parsed = parse_address(address)
    if parsed is None:
        return "unknown"  # a proxy's word for a caller without an address: all of them together
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"
