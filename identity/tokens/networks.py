"""The networks a token is good for: how they are written, and whether an address or another list lies in them."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Any

import orjson

from core.fields import ListField, StringField
from core.network import parse_address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NETWORK = re.compile(r"[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?\Z", re.ASCII)


class NetworkField(StringField):
    """A network in CIDR notation, or an address for the network that holds nothing else."""

    default_error_messages = {
        "network": "must be a network such as 203.0.113.0/24 or 2001:db8::/32, or an address",
        "host_bits": "has bits set behind its prefix: did you mean {network}?",
        "mapped": "is IPv4 written as IPv6: write it as IPv4",
    }

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if _NETWORK.match(text) is None:
            self.fail("network")
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            self.fail("network")
        if getattr(network.network_address, "ipv4_mapped", None) is not None:
            self.fail("mapped")
        if network.network_address != ipaddress.ip_address(text.partition("/")[0]):
            self.fail("host_bits", network=network)
        return str(network)


class NetworksField(ListField):
    """The networks a new token can be used from."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("help_text", "Networks (CIDR, IPv4 or IPv6) the token can be used from; any if not given.")
        super().__init__(child=NetworkField(max_length=64), required=False, min_length=1, **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


def common_networks(one: list[str] | None, other: list[str] | None) -> list[str] | None:
    """What lies in both lists; None stands for every network."""
    if one is None or other is None:
        return other if one is None else one
    pairs = ((mine, yours) for mine in _collapsed(one) for yours in _collapsed(other))
    return [str(_smaller(mine, yours)) for mine, yours in pairs if mine.overlaps(yours)]


def lie_within(inner: list[str] | None, outer: list[str] | None) -> bool:
    """Whether no address passes the inner list alone."""
    if inner is None or outer is None:
        return outer is None
    bounds = _collapsed(outer)
    return all(any(b.overlaps(n) and b.prefixlen <= n.prefixlen for b in bounds) for n in map(_network, inner))


@functools.lru_cache(maxsize=4096)
def holds(networks: str, address: str) -> bool:
    """Whether a list of networks, given as its JSON, holds an address."""
    asked = parse_address(address)
    return asked is not None and any(asked in _network(each) for each in orjson.loads(networks))


def _network(text: str) -> Network:
    return ipaddress.ip_network(text)


def _smaller(one: Network, other: Network) -> Network:
    return one if one.prefixlen >= other.prefixlen else other


def _collapsed(networks: Iterable[str]) -> list[Network]:
    """The same addresses in as few networks as can be, so that what two lists share is no longer than both."""
    parsed = [_network(each) for each in networks]
    four = [each for each in parsed if isinstance(each, ipaddress.IPv4Network)]
    six = [each for each in parsed if isinstance(each, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]
