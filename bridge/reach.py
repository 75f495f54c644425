"""What the agent may call: the networks and host names it was started with, and nothing else."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Self

from core.outbound import OutboundRefusedError
from core.outbound.deadline import Deadline
from core.outbound.destination import LABEL_PATTERN, Destination, look_up
from core.outbound.networks import Address, Network, is_allowed, is_inside

# What a name that is allowed may lead to, besides what is public: a site's own networks. Its loopback, and the metadata
# service of clouds, are reached by their network alone.
OF_SITES: tuple[Network, ...] = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))
)
_NUMBER = re.compile(r"[0-9.]+\Z")


class ReachError(ValueError):
    """An entry is neither a network nor a host name. Guessing would open more than was meant."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """Networks, and names of hosts such as `jira.corp.example` or `*.corp.example`."""

    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Self:
        networks: list[Network] = []
        hosts: list[str] = []
        for entry in entries:
            text = entry.strip().lower()
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                if not _is_host_pattern(text):
                    raise ReachError(f"{entry!r} is neither a network nor a host name: {error}") from None
                hosts.append(text)
        return cls(tuple(networks), tuple(hosts))

    def shown(self) -> list[str]:
        return [*map(str, self.networks), *self.hosts]

    def find_addresses(self, destination: Destination, deadline: Deadline) -> Sequence[Address]:
        """The addresses of a host, all of which must be allowed; a name that is not needs no look-up to be refused."""
        named = destination.address is None and any(_matches(destination.host, host) for host in self.hosts)
        if not named and not self.networks:
            raise self._refuse(destination)
        addresses = look_up(destination, deadline)
        if not all(self._may_call(address, named) for address in addresses):
            raise self._refuse(destination)
        return addresses

    def _may_call(self, address: Address, named: bool) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            return False
        return is_inside(address, self.networks) or (named and is_allowed(address, OF_SITES))

    @staticmethod
    def _refuse(destination: Destination) -> OutboundRefusedError:
        return OutboundRefusedError(f"{destination} is not called: the bridge's agent does not allow this address.")


def _matches(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _is_host_pattern(text: str) -> bool:
    name = text.removeprefix("*.")
    is_number = _NUMBER.match(name) is not None
    return len(text) <= 253 and not is_number and all(map(LABEL_PATTERN.match, name.split(".")))
