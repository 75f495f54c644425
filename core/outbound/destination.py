"""Where a request goes: the strict reading of its URL and the checked addresses of its host."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import ipaddress
import re
import socket
import threading
from collections.abc import Sequence

from core.errors import ProblemError
from core.outbound.deadline import Deadline
from core.outbound.networks import Address, Network, is_allowed, is_inside

# Visible ASCII only; the authority holds no `@`, `\` or `%`, so every reader finds the same host in it.
URL_PATTERN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-~]*)?(?P<query>\?[!-~]*)?\Z",
    re.IGNORECASE | re.ASCII,
)
LABEL_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
NUMBER_PATTERN = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")  # getaddrinfo reads names that end so as addresses
PORTS = {"http": 80, "https": 443}


class OutboundRefusedError(ProblemError):
    """The service does not send this request, whatever the other side would answer."""

    slug = "outbound-refused"
    remedy = "Use an https URL of a public host, or ask the operator of this service to allow its network."


@dataclasses.dataclass(frozen=True, slots=True)
class Destination:
    """A URL taken apart. `target` may hold secrets, so it is in no message and no representation."""

    scheme: str
    host: str  # lower case, an IPv6 address without its brackets
    address: Address | None  # where the host is one
    port: int
    target: str = dataclasses.field(repr=False)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_url(url: str) -> Destination:
    """Read a URL or refuse it. What cannot be read is not repeated: it may hold a password."""
    match = URL_PATTERN.match(url)
    if match is None or "#" in url:
        raise OutboundRefusedError(
            "The URL must read https://host[:port][/path][?query], percent-encoded,"
            " without user name, password or fragment."
        )
    scheme, host = match["scheme"].lower(), match["host"].lower()
    port = PORTS[scheme] if match["port"] is None else int(match["port"])
    if not 0 < port < 65536:
        raise OutboundRefusedError(f"{port} is not a port: it must be from 1 to 65535.")
    address = _read_literal(host)
    if address is None and not _is_name(host):
        raise OutboundRefusedError(f"{host!r} is neither a DNS name nor an IP address in its usual spelling.")
    target = (match["path"] or "/") + (match["query"] or "")
    return Destination(scheme=scheme, host=host.strip("[]"), address=address, port=port, target=target)


def _read_literal(host: str) -> Address | None:
    """The address a host spells as `ipaddress` would: nothing shortened, octal or padded."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return address if host == (str(address) if address.version == 4 else f"[{address}]") else None


def _is_name(host: str) -> bool:
    labels = host.split(".")
    is_number = NUMBER_PATTERN.match(labels[-1]) is not None
    return len(host) <= 253 and not is_number and all(map(LABEL_PATTERN.match, labels))


def find_addresses(destination: Destination, exceptions: Sequence[Network], deadline: Deadline) -> tuple[Address, ...]:
    """The addresses of a host, all of them checked: a single bad one refuses the request."""
    plain = destination.scheme == "http"
    if plain and not exceptions:
        raise _refuse_plain(destination)
    addresses = look_up(destination, deadline)
    if not all(is_allowed(address, exceptions) for address in addresses):
        raise OutboundRefusedError(
            f"{destination} is not called: its host is in a network that is neither public nor allowed."
        )
    if plain and not all(is_inside(address, exceptions) for address in addresses):
        raise _refuse_plain(destination)
    return addresses


def _refuse_plain(destination: Destination) -> OutboundRefusedError:
    return OutboundRefusedError(f"{destination} is not called: outside allowed networks only https is.")


def look_up(destination: Destination, deadline: Deadline) -> tuple[Address, ...]:
    """Ask the system's resolver once. It cannot be interrupted, so a thread waits for it, and we for that."""
    if destination.address is not None:
        return (destination.address,)
    answer: concurrent.futures.Future[tuple[Address, ...]] = concurrent.futures.Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
        except OSError as error:
            answer.set_exception(error)
        else:
            answer.set_result(tuple(ipaddress.ip_address(entry[4][0]) for entry in found))

    threading.Thread(target=ask, name="outbound-lookup", daemon=True).start()
    return answer.result(deadline.remaining())
