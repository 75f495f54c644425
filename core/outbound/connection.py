"""One connection to a checked address: every wait on it ends with its deadline."""

from __future__ import annotations

import functools
import logging
import socket
import ssl
from collections.abc import Sequence

import httpcore2

from core.outbound.deadline import Deadline
from core.outbound.metering import meter
from core.outbound.networks import Address

logging.getLogger("httpcore2").setLevel(logging.INFO)  # at DEBUG it prints the headers of answers


class Stream(httpcore2.NetworkStream):
    """A socket read and written up to a deadline, which takes in no more bytes than it was granted."""

    def __init__(self, sock: socket.socket, deadline: Deadline, granted: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self._granted = granted

    def grant(self, more: int) -> None:
        self._granted += more

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._sock.settimeout(self._deadline.remaining())
        data = self._sock.recv(max_bytes)
        meter(in_bytes=len(data))
        self._granted -= len(data)
        if self._granted < 0:
            raise httpcore2.RemoteProtocolError("more bytes than granted")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        view = memoryview(buffer)
        while view:
            self._sock.settimeout(self._deadline.remaining())
            try:
                sent = self._sock.send(view)
                meter(out_bytes=sent)
                view = view[sent:]
            except TimeoutError:
                raise
            except OSError as error:  # httpcore2 then reads the answer of a server that hung up early
                raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()


@functools.cache
def tls_context(verify: bool) -> ssl.SSLContext:
    """One per process: reading the system's certificates takes longer than a request."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def dial(addresses: Sequence[Address], port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first address that accepts. Each gets an equal share of the time that is left."""
    failure = OSError("the host has no address")
    for index, address in enumerate(addresses):
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(deadline.remaining() / (len(addresses) - index))
            sock.connect((str(address), port))
        except OSError as error:
            sock.close()
            failure = error
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise failure


def start_tls(sock: socket.socket, host: str, verify: bool, deadline: Deadline) -> socket.socket:
    try:
        sock.settimeout(deadline.remaining())
        return tls_context(verify).wrap_socket(sock, server_hostname=host)
    except OSError:
        sock.close()
        raise
