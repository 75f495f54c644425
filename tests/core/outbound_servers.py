"""Real servers on loopback that misbehave in one way each, and a certificate authority for them."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import pathlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Script = Callable[[socket.socket], None]
Reader = Callable[[socket.socket], bytes]


class Listener:
    """Accepts on a port, counts, keeps each request's bytes and plays the script on each connection."""

    def __init__(
        self,
        server: socket.socket,
        script: Script,
        tls: ssl.SSLContext | None = None,
        read: Reader | None = None,
    ) -> None:
        self.port: int = server.getsockname()[1]
        self.accepts = 0
        self.requests: list[bytes] = []
        self.failures: list[OSError] = []  # of our side: the client hung up, as many tests want
        self._server, self._script, self._tls, self._read = server, script, tls, read or read_request
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end of the test
            while True:
                connection, _ = self._server.accept()
                self.accepts += 1
                self._threads.append(threading.Thread(target=self._play, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _play(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self.requests.append(self._read(connection))
            self._script(connection)
        except OSError as error:
            self.failures.append(error)
        finally:
            connection.close()

    def count_others(self) -> int:
        """Connections before this call: ours comes last in the queue, so all earlier ones are counted."""
        before = self.accepts
        with socket.socket() as ours:  # with no name to look up: a test may have replaced that
            ours.connect(("127.0.0.1", self.port))
            give_up = time.monotonic() + 5
            while self.accepts == before and time.monotonic() < give_up:
                time.sleep(0.001)
        return self.accepts - 1

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for thread in self._threads:
            thread.join(timeout=5)


@contextlib.contextmanager
def listen(
    script: Script,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    read: Reader | None = None,
) -> Iterator[Listener]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = Listener(socket.create_server((host, 0), family=family), script, tls, read)
    try:
        yield listener
    finally:
        listener.stop()


@contextlib.contextmanager
def listen_everywhere() -> Iterator[Listener]:
    """An internal service on every address of the machine, in both protocol versions."""
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    server = socket.create_server(("", 0), family=family, dualstack_ipv6=dual)
    listener = Listener(server, reply(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"))
    try:
        yield listener
    finally:
        listener.stop()


def read_slowly(connection: socket.socket) -> bytes:
    for _ in range(200):
        time.sleep(0.01)
        if not connection.recv(262_144):
            break
    return b""


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        data += received
        if not received or data.startswith(b"\x16"):  # hung up, or TLS to a server without
            return data
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def reply(*parts: bytes, pause: float = 0.0) -> Script:
    """Send the parts with a pause before each, until the client hangs up."""

    def script(connection: socket.socket) -> None:
        for part in parts:
            time.sleep(pause)
            connection.sendall(part)

    return script


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def make_tls(folder: pathlib.Path, names: list[str], sni: list[str | None]) -> tuple[ssl.SSLContext, pathlib.Path]:
    """A server context with a certificate for these names, and the file of the authority that signed it."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    basic = x509.BasicConstraints(ca=True, path_length=0)
    authority = _builder(issuer, issuer, authority_key).add_extension(basic, critical=True)
    alternatives: list[x509.GeneralName] = []
    for name in names:
        is_address = name.replace(".", "").isdigit()
        alternatives.append(x509.IPAddress(ipaddress.ip_address(name)) if is_address else x509.DNSName(name))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    leaf = _builder(subject, issuer, key).add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    pem = serialization.Encoding.PEM
    trust, chain = folder / "authority.pem", folder / "server.pem"
    trust.write_bytes(authority.sign(authority_key, hashes.SHA256()).public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(leaf.sign(authority_key, hashes.SHA256()).public_bytes(pem) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    context.sni_callback = lambda _socket, name, _context: sni.append(name)
    return context, trust


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )
