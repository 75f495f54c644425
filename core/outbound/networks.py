"""The networks that are not public, and whether an address may be called."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from django.core.exceptions import ImproperlyConfigured

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# `ipaddress.is_global` is no substitute: it calls several of these global.
# https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
NOT_PUBLIC_V4 = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "carrier-grade NAT",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "platform endpoint of Azure machines",
    "169.254.0.0/16": "link-local and cloud metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "IETF protocols",
    "192.0.2.0/24": "documentation",
    "192.88.99.0/24": "6to4 relay",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved and broadcast",
}
# Only 2000::/3 is assigned for public use: the named networks outside it explain the three wide ones.
NOT_PUBLIC_V6 = {
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::/96": "IPv4-compatible",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64 of one's own network",
    "100::/64": "discard",
    "100:0:0:1::/64": "dummy",
    "2001::/23": "IETF protocols: Teredo, benchmarking, ORCHID, drone identifiers",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "3ffe::/16": "6bone, returned",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "site-local",
    "ff00::/8": "multicast",
    "::/3": "not assigned for public use",
    "4000::/2": "not assigned for public use",
    "8000::/1": "not assigned for public use",
}
NOT_PUBLIC: tuple[Network, ...] = (
    *map(ipaddress.IPv4Network, NOT_PUBLIC_V4),
    *map(ipaddress.IPv6Network, NOT_PUBLIC_V6),
)


@functools.lru_cache
def parse_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks of OUTBOUND_ALLOW. A wrong entry stops here: guessing would open more than was meant."""
    networks: list[Network] = []
    for text in texts:
        try:
            networks.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            message = f"OUTBOUND_ALLOW holds {text!r}, which is not a network: {error}."
            raise ImproperlyConfigured(message) from error
    return tuple(networks)


def is_inside(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def is_allowed(address: Address, exceptions: Sequence[Network]) -> bool:
    """Whether an address is public or opened. One that embeds another (NAT64, 6to4) is judged as written."""
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return False
    return is_inside(address, exceptions) or not is_inside(address, NOT_PUBLIC)
