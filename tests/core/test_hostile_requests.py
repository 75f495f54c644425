"""Requests that no client library sends, against the server as a process: a Problem, or nothing is taken."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from typing import Any

import pytest

from tests.server import Server

PROBLEM = b"application/problem+json"
ACCOUNTS = "/v1/accounts"


def exchange(server: Server, raw: bytes, *, ends: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Sends bytes and reads one answer; status 0 when the connection ends without one."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
            if ends:
                connection.shutdown(socket.SHUT_WR)
        received = b""
        with contextlib.suppress(ConnectionError, TimeoutError):
            while chunk := connection.recv(65_536):
                received += chunk
                if is_whole(received):
                    break
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:
        return 0, {}, b""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, body


def is_whole(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(separator) and bool(length) and len(body) >= int(length[0].split(b":")[1])


def request(
    server: Server, method: str = "POST", path: str = ACCOUNTS, *, token: str | None = None, headers: Any = ()
) -> bytes:
    """The head of a request, with a good token unless told otherwise."""
    token = server.token if token is None else token
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def assert_problem(answer: tuple[int, dict[str, str], bytes], status: int, slug: str = "") -> dict[str, Any]:
    assert answer[0] == status, answer
    assert answer[1]["content-type"] == PROBLEM.decode()
    problem: dict[str, Any] = json.loads(answer[2])
    assert problem["status"] == status
    assert not slug or problem["type"] == f"/problems/{slug}"
    return problem


def body(text: bytes, *headers: str, server: Server) -> tuple[int, dict[str, str], bytes]:
    lines = ("Content-Type: application/json", f"Content-Length: {len(text)}", *headers)
    return exchange(server, request(server, headers=lines) + text)


@pytest.fixture(autouse=True)
def still_serves(live_server_process: Server) -> Any:
    before = len(live_server_process.log)
    yield
    assert live_server_process.status("/livez") == 200
    _, traceback, rest = live_server_process.log[before:].partition("Traceback")
    assert not traceback, rest[:3000]


@pytest.mark.parametrize(
    "parameters",
    [
        "charset=utf-8", "charset=UTF-16", "charset=undefined", "charset=rot13", "charset=hex", "charset=idna",
        "charset=unicode_escape", "charset=utf-7", "charset=nothing", "charset*=rot13''%41", "charset*=undefined''x",
        "a*=x", "a*0*=hex''%41", "boundary=x", '"', "=", ";;;", "charset=" + "x" * 4000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_content_type__parameters__say_nothing(live_server_process: Server, method: str, parameters: str) -> None:
    sent = b'{"fullname": "caf\xc3\xa9"}' if method == "POST" else b""
    headers = (f"Content-Type: Application/JSON; {parameters}", f"Content-Length: {len(sent)}")
    path = ACCOUNTS if method == "POST" else f"{ACCOUNTS}?start_after=%5Cud800%C3%A9"
    status, _, received = exchange(
        live_server_process, request(live_server_process, method, path, headers=headers) + sent
    )
    assert status == 200, received
    if method == "POST":
        assert json.loads(received)["result"]["account"]["fullname"] == "café"


@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/jsonx", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/xml", "*/*", "application/json, text/html", "application", "/", "\xff", "application/json\t;"],
)  # fmt: skip
def test_content_type__not_json__is_415(live_server_process: Server, media_type: str) -> None:
    headers = (f"Content-Type: {media_type}", "Content-Length: 2")
    answer = exchange(live_server_process, request(live_server_process, headers=headers) + b"{}")
    if media_type.strip().startswith("application/json\t"):
        assert answer[0] == 200
    else:
        assert_problem(answer, 415, "unsupported-media-type")


def test_body__compressed__is_malformed(live_server_process: Server) -> None:
    bomb = gzip.compress(b" " * 50_000_000 + b"{}")
    assert_problem(body(bomb, "Content-Encoding: gzip", server=live_server_process), 400, "malformed-body")


@pytest.mark.parametrize("size, status", [(262_144, 200), (262_145, 413), (1_000_000, 413)])
def test_body__at_the_limit__is_taken_or_too_large(live_server_process: Server, size: int, status: int) -> None:
    start, end = b'{"fullname": "long"', b"}"
    sent = start + b" " * (size - len(start) - len(end)) + end
    answer = body(sent, server=live_server_process)
    if status == 413:
        assert_problem(answer, 413, "body-too-large")
    else:
        assert answer[0] == 200, answer


def test_body__declared_huge__is_refused_before_it_is_sent(live_server_process: Server) -> None:
    headers = ("Content-Type: application/json", "Content-Length: 99999999999")
    answer = exchange(live_server_process, request(live_server_process, headers=headers))
    assert_problem(answer, 413, "body-too-large")


def test_body__without_a_token__is_refused_before_it_is_read(live_server_process: Server) -> None:
    headers = ("Content-Type: application/json", "Content-Length: 99999999999")
    answer = exchange(live_server_process, request(live_server_process, token="x", headers=headers))
    assert_problem(answer, 401, "unauthenticated")


def test_body__shorter_than_declared__is_not_taken(live_server_process: Server) -> None:
    headers = ("Content-Type: application/json", "Content-Length: 100")
    answer = exchange(
        live_server_process, request(live_server_process, headers=headers) + b'{"name": "half"}', ends=True
    )
    assert answer[0] in (0, 400)  # the connection ends, or says why
    gone = exchange(live_server_process, request(live_server_process, "GET", f"{ACCOUNTS}/half"))
    assert_problem(gone, 404)


def test_patch__without_a_byte__is_malformed(live_server_process: Server) -> None:
    for headers in (("Content-Length: 0",), ("Content-Length: 00",), ("Transfer-Encoding: chunked",)):
        lines = ("Content-Type: application/json-patch+json", *headers)
        raw = request(live_server_process, "PATCH", "/v1/organization", headers=lines)
        answer = exchange(live_server_process, raw + (b"0\r\n\r\n" if "chunked" in headers[0] else b""))
        assert_problem(answer, 400)


def chunked(*chunks: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + last


@pytest.mark.parametrize(
    "chunks, status",
    [
        ((b'{"fullname":', b' "in parts"}'), 200),
        (tuple(bytes([byte]) for byte in b'{"fullname": "slow"}'), 200),
        ((b"",), 400),
        ((b"{",), 400),
        ((b" " * 200_000, b" " * 200_000, b"{}"), 413),
    ],
)
def test_body__in_chunks__is_read_like_any_other(
    live_server_process: Server, chunks: tuple[bytes, ...], status: int
) -> None:
    headers = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    sent = chunked(*[chunk for chunk in chunks if chunk])
    answer = exchange(live_server_process, request(live_server_process, headers=headers) + sent)
    if status == 200:
        assert answer[0] == 200, answer
        assert json.loads(answer[2])["result"]["account"]["fullname"] in ("in parts", "slow")
    else:
        assert_problem(answer, status)


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        ("Content-Length: 2", "Content-Length: 3"),
        ("Content-Length: -1",),
        ("Content-Length: 2x",),
        ("Content-Length: +2",),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: xchunked",),
    ],
)
def test_body__of_disputed_length__makes_nothing_twice(live_server_process: Server, headers: tuple[str, ...]) -> None:
    smuggled = request(live_server_process, "DELETE", f"{ACCOUNTS}/none")
    sent = request(live_server_process, headers=("Content-Type: application/json", *headers)) + b"{}" + smuggled
    status, _, received = exchange(live_server_process, sent)
    assert status in (0, 200, 400, 411, 413), received


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "FOO", "PROPFIND", "X" * 200])
def test_method__unknown__is_405_and_makes_no_metric(live_server_process: Server, method: str) -> None:
    path = ACCOUNTS if method != "CONNECT" else "127.0.0.1:80"
    status, _, received = exchange(live_server_process, request(live_server_process, method, path))
    assert status in ((405,) if method != "CONNECT" else (400, 404, 405)), received
    metrics = exchange(live_server_process, request(live_server_process, "GET", "/metrics"))[2].decode()
    assert f'method="{method}"' not in metrics
    assert 'method="other"' in metrics


@pytest.mark.parametrize("method, status", [("DELETE", 405), ("PUT", 405), ("PATCH", 405), ("HEAD", 200)])
def test_method__not_of_this_address__is_405(live_server_process: Server, method: str, status: int) -> None:
    assert exchange(live_server_process, request(live_server_process, method))[0] == status


@pytest.mark.parametrize(
    "path, status",
    [
        ("/", 404), ("//v1/accounts", 404), ("/v1//accounts", 404), ("/v1/accounts/", 404), ("/V1/accounts", 404),
        ("/v1/accounts;x=1", 404), ("/v1/../v1/accounts", 404), ("/v1/accounts/%2e%2e/%2e%2e", 404),
        ("/v1/accounts/%", 404), ("/v1/accounts/%zz", 404), ("/v1/accounts/%00", 404), ("/%ff%fe", 404),
        ("/v1/accounts/" + "x" * 30_000, 404), ("/v1/accounts?" + "x=1&" * 5_000, 400), ("/v1/accounts?%", 400),
        ("/v1/accounts#x", 200), ("/.git/config", 404), ("/admin", 404), ("/static/../../etc/passwd", 404),
    ],
)  # fmt: skip
def test_path__odd__is_not_found(live_server_process: Server, path: str, status: int) -> None:
    answer = exchange(live_server_process, request(live_server_process, "GET", path))
    if path == "/v1/accounts#x":
        assert answer[0] in (200, 400)  # a fragment is never sent; a server may refuse it
    else:
        assert_problem(answer, status)


@pytest.mark.parametrize(
    "line",
    [
        "Host: evil.example", "Host: 127.0.0.1:99999", "Host: a b", "Host: [::1", "Host: \xff",
        "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: gopher",
        "X-HTTP-Method-Override: DELETE", "X-Request-Id: x", "Accept: text/html;q=9", "Accept: \xff", "Range: bytes=0",
        "Expect: 200-ok", "Connection: upgrade", "Upgrade: websocket", "If-Modified-Since: \xff", "Cookie: a=b; \xff",
        "Accept-Language: ../../etc", "Accept-Encoding: gzip, br", "Origin: null", "TE: trailers",
    ],
)  # fmt: skip
def test_header__odd__changes_nothing(live_server_process: Server, line: str) -> None:
    raw = request(live_server_process, "GET", headers=(line,))
    if line.startswith("Host"):
        raw = raw.replace(b"Host: 127.0.0.1\r\n", b"")
        answer = exchange(live_server_process, raw)
        # Refused by the service, or by the server where it is no host at all; a port says nothing.
        assert answer[0] == (200 if line == "Host: 127.0.0.1:99999" else 400)
        if line == "Host: evil.example":
            assert assert_problem(answer, 400)["context"]["parameter"]["id"] == "Host"
            assert exchange(live_server_process, raw.replace(b"/v1/accounts ", b"/livez "))[0] == 200
        return
    status, headers, received = exchange(live_server_process, raw)
    assert status == 200, received
    assert "evil.example" not in received.decode() + str(headers)
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer ", "bearer x", "Basic eDp4", "Bearer \xff", "Bearer " + "x" * 60_000]
)
def test_authorization__odd__is_401(live_server_process: Server, value: str) -> None:
    raw = f"GET {ACCOUNTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {value}\r\n\r\n".encode("latin-1")
    status, _, received = exchange(live_server_process, raw)
    assert status == 401, received


def test_authorization__twice__is_never_the_sum(live_server_process: Server) -> None:
    good = f"Authorization: Bearer {live_server_process.token}"
    for lines in ((good, "Authorization: Bearer x"), ("Authorization: Bearer x", good)):
        raw = "\r\n".join([f"GET {ACCOUNTS} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()
        assert exchange(live_server_process, raw)[0] in (200, 401)
