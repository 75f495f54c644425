"""Requests made for a tenant: what leaves the machine, what comes back and how long it may take."""

from __future__ import annotations

import gzip
import logging
import pathlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core.errors import ProviderFailedError, ProviderTimeoutError
from core.outbound import Limits, OutboundAnswer, OutboundRefusedError, OutboundRequest, send
from core.outbound.connection import tls_context
from tests.core.outbound_servers import (
    Listener,
    Script,
    listen,
    listen_everywhere,
    make_tls,
    read_slowly,
    reply,
    reset,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
QUICK = Limits(connect=0.3, total=0.4)
SMALL = Limits(answer=1000)
PUBLIC = "93.184.215.14"
BOMB = gzip.compress(bytes(9_000_000))
Names = dict[str, list[list[str] | OSError]]

HOSTS = (pathlib.Path(__file__).parent / "hostile_hosts.txt").read_text(encoding="utf-8").splitlines()
URLS = [
    *(f"{scheme}://{host}:PORT/" for scheme in ("https", "http") for host in HOSTS),
    *("http://127.0.0.1\t:PORT/", "http://127.0.0.1\r\n:PORT/", " http://127.0.0.1:PORT/"),
    "http://127.0.0.1:PORT/\n",
    *("http:/127.0.0.1:PORT/", "http:127.0.0.1:PORT", "//127.0.0.1:PORT/", "127.0.0.1:PORT", "http:///", ""),
    *("ftp://127.0.0.1:PORT/", "gopher://127.0.0.1:PORT/", "ws://127.0.0.1:PORT/", "file:///etc/hostname"),
    *("https://127.0.0.1:0/", "https://127.0.0.1:65536/", "https://127.0.0.1:+80/", "https://127.0.0.1:8\uff10/"),
    *("https://api.example/a b", "https://api.example/\xe9", "https://api.example/#part", "https://api.example/\0"),
    *(f"https://{'a' * 64}.example/", f"https://{'a.' * 127}example/", "https://api..example/", "https://a-.example/"),
]  # fmt: skip


def call(url: str, limits: Limits | None = None, **rest: Any) -> OutboundAnswer:
    limits = limits or Limits(connect=2, total=3)
    return send(OutboundRequest(url=url, limits=limits, **{"method": "GET"} | rest))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What the system's resolver answers, one list a question; the last one is repeated."""
    table: Names = {}

    def look_up(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        answers = table[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port)) for text in answer]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return table


@pytest.fixture
def open_loopback(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.1/32", "::1/128"]


@pytest.fixture
def secure(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, names: Names, open_loopback: None
) -> Iterator[tuple[Listener, list[str | None]]]:
    """A TLS server for api.example at 127.0.0.1 whose authority the system trusts, and the SNI it got."""
    sni: list[str | None] = []
    context, trust = make_tls(tmp_path, ["api.example", "127.0.0.1"], sni)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    tls_context.cache_clear()
    names |= {"api.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]}
    with listen(reply(OK), tls=context) as listener:
        yield listener, sni
    tls_context.cache_clear()


@pytest.mark.parametrize("allowed", [[], ["10.200.0.0/16"]], ids=["closed", "one network open"])
def test_send__hostile_url__is_refused_and_reaches_nothing(allowed: list[str], settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = allowed
    with listen_everywhere() as listener:
        for url in URLS:
            with pytest.raises(OutboundRefusedError) as caught:
                call(url.replace("PORT", str(listener.port)), QUICK)
            assert "pa55word" not in caught.value.message
        assert listener.count_others() == 0


def test_send__name_that_changes_its_answer__goes_to_the_checked_address(names: Names, settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.2/32"]
    with listen(reply(OK), host="127.0.0.2") as checked, listen_everywhere() as internal:
        names["api.example"] = [["127.0.0.2"], ["127.0.0.1"]]
        assert call(f"http://api.example:{checked.port}/").body == b"ok"
        with pytest.raises(OutboundRefusedError):
            call(f"http://api.example:{internal.port}/")
        assert (checked.accepts, internal.count_others()) == (1, 0)


@pytest.mark.parametrize("answers", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], ["127.0.0.2", "127.0.0.1"]])
def test_send__one_internal_answer_of_several__is_refused(answers: list[str], names: Names, settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.2/32"]
    names["api.example"] = [list(answers)]
    with listen_everywhere() as internal:
        with pytest.raises(OutboundRefusedError, match=r"https://api\.example:\d+ is not called"):
            call(f"https://api.example:{internal.port}/")
        assert internal.count_others() == 0


def test_send__plain_http_to_a_public_address__is_refused(names: Names, settings: Settings) -> None:
    with pytest.raises(OutboundRefusedError, match="only https"):
        call("http://api.example/")  # not even looked up
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    names["api.example"] = [[PUBLIC], ["127.0.0.1", PUBLIC]]
    for _ in range(2):
        with pytest.raises(OutboundRefusedError, match="only https"):
            call("http://api.example/")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
@pytest.mark.usefixtures("open_loopback")
def test_send__allowed_network__gets_the_whole_request(host: str) -> None:
    script = reply(b"HTTP/1.1 422 No\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nab\r\n0\r\n\r\n")
    headers = {"Authorization": "Bearer t", "user-agent": "mine", "Empty": ""}
    with listen(script, host=host.strip("[]")) as listener:
        url = f"HTTP://{host}:{listener.port}/a/../b?q=%20[x]"
        answer = call(url, method="POST", body=b"{}", headers=headers)
    assert (answer.status, answer.headers["x-ONE"], answer.body, answer.truncated) == (422, "1", b"ab", False)
    sent = [
        *("POST /a/../b?q=%20[x] HTTP/1.1", f"Host: {host}:{listener.port}"),
        *("Authorization: Bearer t", "user-agent: mine", "Empty: ", "Accept-Encoding: identity"),
        *("Connection: close", "Content-Length: 2", "", "{}"),
    ]
    assert listener.requests == ["\r\n".join(sent).encode()]


@pytest.mark.usefixtures("open_loopback")
def test_send__redirect__is_returned_and_not_followed() -> None:
    with listen(reply(OK)) as target:
        location = f"http://127.0.0.1:{target.port}/stolen"
        answer = b"HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location.encode()
        with listen(reply(answer)) as listener:
            got = call(f"http://127.0.0.1:{listener.port}/", headers={"Authorization": "Bearer t"})
        assert (got.status, got.headers["Location"], target.count_others()) == (307, location, 0)


@pytest.mark.usefixtures("open_loopback")
def test_send__proxy_environment__is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with listen(reply(OK)) as proxy, listen(reply(OK)) as listener:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert call(f"http://127.0.0.1:{listener.port}/").status == 200
        assert (listener.accepts, proxy.count_others()) == (1, 0)


def test_send__tls__keeps_server_name_and_host(secure: tuple[Listener, list[str | None]]) -> None:
    listener, sni = secure
    assert call(f"https://API.example:{listener.port}/").body == b"ok"
    assert call(f"https://127.0.0.1:{listener.port}/").body == b"ok"
    assert sni == ["api.example", None]
    assert f"Host: api.example:{listener.port}\r\n".encode() in listener.requests[0]


def test_send__certificate_of_another_name__is_refused(secure: tuple[Listener, list[str | None]]) -> None:
    listener, _ = secure
    with pytest.raises(ProviderFailedError, match=r"certificate is not accepted \(Hostname mismatch"):
        call(f"https://other.example:{listener.port}/")
    assert listener.requests == []
    assert call(f"https://other.example:{listener.port}/", verify=False).status == 200


def test_send__certificate_of_an_unknown_authority__is_refused(
    secure: tuple[Listener, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, _ = secure
    monkeypatch.delenv("SSL_CERT_FILE")
    tls_context.cache_clear()
    with pytest.raises(ProviderFailedError, match="certificate is not accepted"):
        call(f"https://api.example:{listener.port}/")
    assert (listener.requests, tls_context(True).verify_mode) == ([], ssl.CERT_REQUIRED)


@pytest.mark.usefixtures("open_loopback")
def test_send__tls_to_a_plain_server__fails() -> None:
    with listen(reply(OK)) as listener, pytest.raises(ProviderFailedError, match=r"TLS failed|reset"):
        call(f"https://127.0.0.1:{listener.port}/")


def drip(part: bytes, after: bytes = b"") -> Script:
    return reply(after, *[part] * 100, pause=0.02)


@pytest.mark.parametrize(
    "script",
    [
        reply(OK, pause=0.6),
        drip(b"H"),
        drip(b"HTTP/1.1 102 Wait\r\n\r\n"),
        drip(b"x", after=b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n"),
        drip(b"x", after=b"HTTP/1.1 200 OK\r\n\r\n"),
    ],
    ids=["slow headers", "dripped headers", "endless interim", "dripped body", "endless body"],
)
@pytest.mark.usefixtures("open_loopback")
def test_send__slow_server__ends_at_the_deadline(script: Script) -> None:
    with listen(script) as listener:
        started = time.monotonic()
        with pytest.raises(ProviderTimeoutError, match=r"did not answer in time: 0\.3 s to connect, 0\.4 s in all"):
            call(f"http://127.0.0.1:{listener.port}/", QUICK)
        assert 0.35 < time.monotonic() - started < 1.5


@pytest.mark.usefixtures("open_loopback")
def test_send__server_that_accepts_nothing__ends_at_the_connect_limit() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:  # a handshake that is never answered
        started = time.monotonic()
        with pytest.raises(ProviderTimeoutError):
            call(f"https://127.0.0.1:{silent.getsockname()[1]}/", Limits(connect=0.2, total=5))
        assert 0.15 < time.monotonic() - started < 1.5


@pytest.mark.usefixtures("open_loopback")
def test_send__server_that_reads_slowly__ends_at_the_deadline() -> None:
    with listen(reply(OK), read=read_slowly) as listener:
        started = time.monotonic()
        with pytest.raises(ProviderTimeoutError):
            call(f"http://127.0.0.1:{listener.port}/", QUICK, method="POST", body=bytes(64_000_000))
        assert time.monotonic() - started < 1.5


def test_send__slow_name_server__ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: object, **__: object) -> list[object]:
        time.sleep(2)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    started = time.monotonic()
    with pytest.raises(ProviderTimeoutError, match=r"https://api\.example did"):
        call("https://api.example/", QUICK)
    assert time.monotonic() - started < 1.5


def test_send__unknown_name__fails_with_the_reason(names: Names) -> None:
    names["api.example"] = [socket.gaierror(socket.EAI_NONAME, "Name or service not known")]
    with pytest.raises(ProviderFailedError, match="could not be called: name or service not known"):
        call("https://api.example/")


def test_send__first_address_refuses__tries_the_next(names: Names, settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    names["api.example"] = [["127.0.0.2", "127.0.0.1"]]
    with listen(reply(OK)) as listener:
        assert call(f"http://api.example:{listener.port}/").status == 200


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (reset, "connection reset by peer"),
        (reply(), "valid HTTP answer"),
        (reply(b"Bearer t is no HTTP\r\n\r\n"), "valid HTTP answer"),
        (reply(OK[:-1]), "valid HTTP answer"),
        (reply(b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "valid HTTP answer"),
        (reply(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 40_000), "valid HTTP answer"),
        (reply(b"HTTP/1.1 100 Go\r\n\r\n" * 20_000, OK), "valid HTTP answer"),
        (reply(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", b"x" * 1001), "more than 1000 bytes"),
        (reply(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9_000_000), "more than 1000 bytes"),
        (
            reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", b"x" * 1001),
            "more than 1000",
        ),
        (reply(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", BOMB), "compressed"),
        (reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), "valid HTTP answer"),
    ],
)
@pytest.mark.usefixtures("open_loopback")
def test_send__bad_answer__fails_without_repeating_it(script: Script, reason: str) -> None:
    with listen(script) as listener, pytest.raises(ProviderFailedError, match=reason) as caught:
        call(f"http://127.0.0.1:{listener.port}/p?key=s3cret", SMALL, headers={"Authorization": "Bearer t"})
    assert not isinstance(caught.value, ProviderTimeoutError)
    assert str(caught.value).startswith(f"http://127.0.0.1:{listener.port} ")
    assert "s3cret" not in str(caught.value)
    assert "Bearer" not in f"{caught.value} {caught.value.__cause__}"


@pytest.mark.usefixtures("open_loopback")
def test_send__body_in_tiny_chunks__costs_little() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with listen(reply(head, b"1\r\nx\r\n" * 1_000_000)) as listener:
        url = f"http://127.0.0.1:{listener.port}/"
        started = time.thread_time()
        with pytest.raises(ProviderFailedError):
            call(url)
        assert time.thread_time() - started < 1


@pytest.mark.usefixtures("open_loopback")
def test_send__long_answer_with_truncate__keeps_the_beginning() -> None:
    with listen(reply(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000)) as listener:
        answer = call(f"http://127.0.0.1:{listener.port}/", Limits(answer=1000, truncate=True))
    assert (answer.body, answer.truncated) == (b"x" * 1000, True)


@pytest.mark.usefixtures("open_loopback")
def test_send__answer_of_exactly_the_limit__is_read() -> None:
    with listen(reply(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)) as listener:
        assert call(f"http://127.0.0.1:{listener.port}/", SMALL).body == b"x" * 1000


@pytest.mark.usefixtures("open_loopback")
def test_send__head__accepts_the_encoding_of_a_body_that_is_not_sent() -> None:
    with listen(reply(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9000000\r\n\r\n")) as listener:
        assert call(f"http://127.0.0.1:{listener.port}/", method="HEAD").body == b""


@pytest.mark.usefixtures("open_loopback")
def test_send__server_that_hangs_up_while_we_send__fails() -> None:
    with listen(reset, read=lambda connection: connection.recv(10)) as listener:
        with pytest.raises(ProviderFailedError) as caught:
            call(f"http://127.0.0.1:{listener.port}/", method="POST", body=bytes(64_000_000))
        assert caught.type is ProviderFailedError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("X-A", value) for value in ("a\r\nB: c", "a\n", "a\r", "a\0", "\xe9", "\u2028", " a", "a ", "\ud800")),
        *((name, "a") for name in ("", "X A", "X:", "X\r\nB", "\xe9", "Host", "HOST", "Content-Length", "TE")),
        *((name, "a") for name in ("Transfer-Encoding", "Connection", "Upgrade", "Accept-Encoding", "Expect")),
    ],
)
def test_send__header_that_could_inject__is_refused(name: str, value: str) -> None:
    with pytest.raises(OutboundRefusedError, match="header"):
        call("https://api.example/", headers={name: value})


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get", "", "GET / HTTP/1.1\r\nA:"])
def test_send__method_outside_the_list__is_refused(method: str) -> None:
    with pytest.raises(OutboundRefusedError, match="method"):
        call("https://api.example/", method=method)


@pytest.mark.usefixtures("open_loopback")
def test_send__secrets__are_in_no_log_and_no_representation(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), listen(reply(OK[:-4] + b"Set-Cookie: c4nary\r\n\r\nok")) as listener:
        request = OutboundRequest("POST", f"http://127.0.0.1:{listener.port}/c4nary?c4nary", {"A": "c4nary"}, b"c4nary")
        answer = send(request)
    assert (answer.headers["Set-Cookie"], b"c4nary?c4nary" in listener.requests[0]) == ("c4nary", True)
    assert "c4nary" not in f"{caplog.text} {request!r} {answer!r}"


def test_limits__by_default__are_the_promised_ones() -> None:
    promised = Limits(connect=3, total=15, answer=1_048_576, truncate=False)
    assert OutboundRequest("GET", "https://api.example/").limits == promised
