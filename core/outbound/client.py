"""The one way out: `send` makes a request for a tenant within fixed limits of time, size and reach."""

from __future__ import annotations

import dataclasses
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from django.conf import settings

from core.errors import ProviderFailedError, ProviderTimeoutError
from core.late import LateModule
from core.outbound.deadline import Deadline
from core.outbound.destination import Destination, OutboundRefusedError, find_addresses, parse_url
from core.outbound.metering import meter
from core.outbound.networks import Address, parse_networks
from core.outbound.observed import observed

if TYPE_CHECKING:
    import httpcore2
    import httpx2

    from core.outbound import connection
else:  # 3 MiB, for workers that call somebody
    httpcore2 = LateModule("httpcore2")
    httpx2 = LateModule("httpx2")
    connection = LateModule("core.outbound.connection")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
HEADER_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?\Z")
# Set here, or a request for more than one answer.
OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
HEAD_BYTES = 128 * 1024  # of status line and headers, interim ones and what comes in the same read included
PIECES = 20_000  # of a body: one byte a piece would cost seconds of parsing


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    `truncate` is for who asks for the status above all: of a body that is too long, compressed, broken off or late it
    keeps what could be read, instead of failing.
    """

    connect: float = 3.0  # seconds to connect, TLS included
    total: float = 15.0  # seconds in all, looking up the name included
    answer: int = 1024 * 1024  # bytes of the answer's body
    truncate: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A request as the caller wants it. What may hold a secret is not in its representation."""

    method: str
    url: str = dataclasses.field(repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    verify: bool = True  # False only where the caller's configuration says skip_tls_verify
    limits: Limits = Limits()


@dataclasses.dataclass(frozen=True, slots=True)
class OutboundAnswer:
    """The answer as it came: a redirect or an error status is an answer too."""

    status: int
    headers: httpx2.Headers = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)
    truncated: bool = False


Finder = Callable[[Destination, Deadline], Sequence[Address]]  # the addresses of a host, or a refusal
Sender = Callable[[OutboundRequest], OutboundAnswer]


def find_open(destination: Destination, deadline: Deadline) -> Sequence[Address]:
    """What this service calls: what is public, and the networks that its operator has opened."""
    return find_addresses(destination, parse_networks(tuple(settings.OUTBOUND_ALLOW)), deadline)


def send(request: OutboundRequest, find: Finder = find_open) -> OutboundAnswer:
    """Send one request and read its answer, or raise a problem that names the host and the reason."""
    with observed() as seen:
        answer = _send(request, find)
        seen.status = answer.status
    return answer


def _send(request: OutboundRequest, find: Finder) -> OutboundAnswer:
    destination = parse_url(request.url)
    headers = _build_headers(request, destination)
    limits = request.limits
    deadline = Deadline.after(limits.total)
    try:
        addresses = find(destination, deadline)
        stream = _connect(request, destination, addresses, deadline)
        return _exchange(request, destination, headers, stream)
    except TimeoutError as error:
        allowed = f"{limits.connect:g} s to connect, {limits.total:g} s in all"
        raise ProviderTimeoutError(f"{destination} did not answer in time: {allowed}.") from error
    except OSError as error:
        raise ProviderFailedError(f"{destination} could not be called: {_reason(error)}.") from error
    except httpcore2.ProtocolError:
        # Its text repeats what the provider sent, which may be our own request: it is left out.
        raise ProviderFailedError(f"{destination} did not send a valid HTTP answer.") from None


def _build_headers(request: OutboundRequest, destination: Destination) -> list[tuple[bytes, bytes]]:
    if request.method not in METHODS:
        raise OutboundRefusedError(f"{request.method!r} is not a method that can be sent.")
    headers = {"Host": destination.authority, "User-Agent": "synqmgr"}
    for name, value in request.headers.items():
        if HEADER_NAME.match(name) is None or name.lower() in OWN_HEADERS:
            raise OutboundRefusedError(f"The header {name!r} cannot be set.")
        if HEADER_VALUE.match(value) is None:
            raise OutboundRefusedError(f"The value of the header {name!r} must be visible ASCII on one line.")
        if name.lower() == "user-agent":
            headers.pop("User-Agent", None)
        headers[name] = value
    headers |= {"Accept-Encoding": "identity", "Connection": "close"}
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        headers["Content-Length"] = str(len(request.body))
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _connect(
    request: OutboundRequest, destination: Destination, addresses: Sequence[Address], deadline: Deadline
) -> connection.Stream:
    connected_by = deadline.sooner(request.limits.connect)
    sock = connection.dial(addresses, destination.port, connected_by)
    if destination.scheme == "https":
        sock = connection.start_tls(sock, destination.host, request.verify, connected_by)
    return connection.Stream(sock, deadline, HEAD_BYTES)


def _exchange(
    request: OutboundRequest, destination: Destination, headers: list[tuple[bytes, bytes]], stream: connection.Stream
) -> OutboundAnswer:
    url = httpcore2.URL(
        scheme=destination.scheme, host=destination.host, port=destination.port, target=destination.target
    )
    meter(api_ops=1)
    with httpcore2.HTTP11Connection(url.origin, stream) as http:
        response = http.handle_request(httpcore2.Request(request.method, url, headers=headers, content=request.body))
        answer_headers = httpx2.Headers(response.headers)
        stream.grant(request.limits.answer * 5 // 4)  # a quarter for the framing of chunks
        body, complaint = _read_body(response, request)
        if complaint and not request.limits.truncate:
            raise ProviderFailedError(f"{destination} sent {complaint}.")
        return OutboundAnswer(response.status, answer_headers, body, bool(complaint))


def _read_body(response: httpcore2.Response, request: OutboundRequest) -> tuple[bytes, str]:
    """The body as far as the limits allow, and what is wrong with it."""
    body, most = bytearray(), request.limits.answer
    encoding = httpx2.Headers(response.headers).get("content-encoding", "identity").strip().lower()
    if encoding != "identity" and request.method != "HEAD":
        return b"", "a compressed answer, which was not asked for"
    try:
        for count, piece in enumerate(response.iter_stream()):
            if count >= PIECES:
                raise httpcore2.RemoteProtocolError("a body in too many pieces")
            body += piece
            if len(body) > most:
                return bytes(body[:most]), f"an answer of more than {most} bytes"
    except (OSError, httpcore2.ProtocolError):
        if not request.limits.truncate:
            raise
        return bytes(body), "an answer that broke off"
    return bytes(body), ""


def _reason(error: OSError) -> str:
    """What the operating system or TLS says, which never repeats the request."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message.rstrip('.')})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'unknown').replace('_', ' ').lower()})"
    return (error.strerror or "the connection failed").lower()
