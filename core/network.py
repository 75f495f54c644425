"""The client's address, seen through as many proxies as the settings trust and no more."""

from __future__ import annotations

import functools
import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_WITH_PORT = re.compile(r"\[(.*)\](?::\d+)?\Z|([0-9.]+):\d+\Z")  # some proxies forward the port as well
_KNOWN = "synqmgr.client_address"  # of a request's META, where no header can come to stand
_LONGEST_HOST = 261  # characters of a name of 253 with its port
_LONGEST = 64  # characters, of which no address has as many


def parse_address(text: str) -> Address | None:
    """The address in a text, whatever a server or a proxy has put around it; None when there is none.

    IPv4 written as IPv6 is IPv4, and a zone is of no interest.
    """
    return _parse(text) if len(text) <= _LONGEST else None


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> Address | None:
    match = _WITH_PORT.match(text)
    bare = (match[1] or match[2] or "") if match else text
    try:
        address = ipaddress.ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def client_address(request: HttpRequest) -> str:
    """The client's address in its plainest form. Of what is none, such as a socket file, the text itself."""
    known: str | None = request.META.get(_KNOWN)
    if known is None:
        text = _client_text(request)
        known = request.META[_KNOWN] = _plainest(text) if len(text) <= _LONGEST else text
    return known


@functools.lru_cache(maxsize=256)
def _plainest(text: str) -> str:
    address = parse_address(text)
    return text if address is None else str(address)


def is_served(request: HttpRequest) -> bool:
    """Whether the service answers to the host name by which it is asked."""
    host: str = request.META.get("HTTP_HOST", request.META.get("SERVER_NAME", ""))
    return len(host) <= _LONGEST_HOST and _is_among(host, tuple(settings.ALLOWED_HOSTS))


@functools.lru_cache(maxsize=256)
def _is_among(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _client_text(request: HttpRequest) -> str:
    """The n-th forwarded address from the right for n trusted proxies; the peer when there are none.

    Nobody's where fewer are named: the server empties a line that is not ASCII, so the client would be its proxy.
    """
    peer: str = request.META.get("REMOTE_ADDR", "")
    trusted = settings.TRUSTED_PROXIES
    if trusted < 1 or settings.ADDRESS_HEADER not in request.META:
        return peer
    forwarded = [part.strip() for part in request.META[settings.ADDRESS_HEADER].split(",")]
    return forwarded[-trusted] if len(forwarded) >= trusted else ""
