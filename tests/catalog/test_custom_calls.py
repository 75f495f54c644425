"""Calling operations of custom providers: what is sent, what is read, pages, limits, and what must not happen."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from pytest_django.fixtures import Settings

from catalog.customs.calls import Connection, Page, call_operation, each_page
from catalog.errors import CredentialRejectedError, ProviderBusyError, UnexpectedAnswerError
from core.columns import new_id
from core.errors import InvalidError, NotFoundError, ProblemError, ProviderFailedError
from core.limits.limiter import limiter
from core.outbound import OutboundAnswer, OutboundRefusedError, OutboundRequest
from tests.catalog.definitions import DEFINITION, changed, config_of, with_operation
from tests.catalog.provider_server import Answer, Asked, serve

URL = "https://desk.example/api"
TOKEN = ("token", {"type": "token", "secret": "right"})
Script = Callable[[OutboundRequest], tuple[int, Any, dict[str, str]]]


@dataclasses.dataclass
class Way:
    """A way out of one's own, such as a bridge: it answers by a script and remembers what it was given."""

    script: Script
    sent: list[OutboundRequest] = dataclasses.field(default_factory=list)

    def send(self, request: OutboundRequest) -> OutboundAnswer:
        self.sent.append(request)
        status, content, headers = self.script(request)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return OutboundAnswer(status, httpx2.Headers(headers), body)


def always(content: Any, status: int = 200, **headers: str) -> Way:
    return Way(lambda request: (status, content, headers))


def connect(definition: dict[str, Any], way: Way, secret: Any = TOKEN, url: str | None = URL) -> Connection:
    config = config_of(new_id(), url)
    return Connection(definition, config, {"/endpoints/default/credential": secret}, new_id(), way.send)


def call(way: Way, definition: dict[str, Any], operation: str = "call", **arguments: Any) -> Page:
    return call_operation(connection=connect(definition, way), operation=operation, arguments=arguments)


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    yield
    limiter.close()


# --- what is sent --------------------------------------------------------------------------------


def test_call__with_arguments__fills_path_query_headers_and_body() -> None:
    way = always({"id": 7}, 201)
    arguments = {"queue": "a/b c", "title": "Leak", "labels": ["x", {"y": None}], "trace": 12}
    assert call(way, DEFINITION, "create_ticket", **arguments).result == {"id": 7}
    (sent,) = way.sent
    assert (sent.method, sent.url) == ("POST", f"{URL}/queues/a%2Fb%20c/tickets")
    assert sent.headers["Authorization"] == "Bearer right"
    assert (sent.headers["X-Site"], sent.headers["X-Trace"]) == ("north", "12")
    assert json.loads(sent.body) == {
        "title": "Leak",
        "by": "for north",
        "labels": ["x", {"y": None}],
        "more": [1],
    }


def test_call__argument_not_given__leaves_parameter_header_and_member_out() -> None:
    way = always({}, 201)
    call(way, DEFINITION, "create_ticket", queue="q", trace=True)
    assert json.loads(way.sent[0].body) == {"by": "for north", "more": [1]}
    assert way.sent[0].headers["X-Trace"] == "true"
    call(way, definition := with_operation(query={"since": "{input.since}", "n": 2, "deep": True}))
    call(way, definition, since="2026-01-31T00:00:00+00:00")
    assert [sent.url for sent in way.sent[1:]] == [
        f"{URL}/call?n=2&deep=true",
        f"{URL}/call?since=2026-01-31T00%3A00%3A00%2B00%3A00&n=2&deep=true",
    ]


def test_call__without_url_in_the_configuration__is_at_the_definitions() -> None:
    way = always({})
    call_operation(connection=connect(DEFINITION, way, url=None), operation="whoami")
    assert way.sent[0].url == "https://north.helpdesk.example/api/me"


@pytest.mark.parametrize("value", ["..", ".", "", "a\n", "\x00"])
def test_call__value_that_would_leave_its_step__is_refused_or_encoded(value: str) -> None:
    way = always({}, 201)
    try:
        call(way, DEFINITION, "create_ticket", queue=value)
    except InvalidError:
        assert way.sent == []
    else:
        assert "/../" not in way.sent[0].url
        assert way.sent[0].url.isprintable()


@pytest.mark.parametrize(
    "auth, secret, header, query",
    [
        ({"token": {"scheme": "bearer"}}, TOKEN, ("Authorization", "Bearer right"), ""),
        ({"token": {"scheme": "header", "name": "X-Key"}}, TOKEN, ("X-Key", "right"), ""),
        ({"token": {"scheme": "header", "name": "X-Key", "value": "{tags.site}:{secret.secret}"}}, TOKEN,
         ("X-Key", "north:right"), ""),
        ({"token": {"scheme": "query", "name": "key"}}, TOKEN, ("Accept", "application/json"), "?key=right"),
        ({"basic": {"scheme": "basic"}}, ("basic", {"username": "ann", "secret": "x"}),
         ("Authorization", "Basic YW5uOng="), ""),
    ],
)  # fmt: skip
def test_call__each_way_to_sign_in__sends_the_credential(
    auth: dict[str, Any], secret: Any, header: tuple[str, str], query: str
) -> None:
    way = always({})
    definition = with_operation() | {"auth": auth}
    call_operation(connection=connect(definition, way, secret), operation="call")
    assert way.sent[0].headers[header[0]] == header[1]
    assert way.sent[0].url == f"{URL}/call{query}"


def test_call__access_token__is_kept_and_fetched_anew_when_it_is_not_taken_any_more() -> None:
    tokens = iter(["first", "second", "third"])
    valid = ["first"]

    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        if request.url == "https://id.example/token":
            return 200, {"access_token": next(tokens)}, {}
        good = request.headers["Authorization"] == f"Bearer {valid[0]}"
        return (200 if good else 401), {}, {}

    way = Way(script)
    auth = {"o_auth_client": {"scheme": "oauth2", "token_url": "https://id.example/token", "scope": "read"}}
    client = ("o_auth_client", {"client_id": "app", "client_secret": "hush"})
    connection = connect(with_operation() | {"auth": auth}, way, client)
    for _ in range(2):
        call_operation(connection=connection, operation="call")
    assert [sent.method for sent in way.sent] == ["POST", "GET", "GET"]
    assert way.sent[0].body == b"grant_type=client_credentials&scope=read"
    valid[0] = "second"
    call_operation(connection=connection, operation="call")
    assert len(way.sent) == 6
    valid[0] = "none"
    with pytest.raises(CredentialRejectedError):
        call_operation(connection=connection, operation="call")


@pytest.mark.parametrize("skip", [True, False])
def test_call__skip_tls_verify__is_heeded_for_the_endpoint(skip: bool) -> None:
    way = always({})
    connection = connect(DEFINITION, way)
    connection.config["endpoints"]["default"]["skip_tls_verify"] = skip
    call_operation(connection=connection, operation="whoami")
    assert way.sent[0].verify is not skip


def test_call__representations__hold_no_secret() -> None:
    connection = connect(DEFINITION, always({}))
    call_operation(connection=connection, operation="whoami")
    assert "right" not in repr(connection)


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "response, content, result",
    [
        ("", {"a": 1}, {"a": 1}),
        ("", [1], [1]),
        ("", b"", None),
        ("", b" \n", None),
        ("/a/1/b~1c", {"a": [0, {"b/c": "x"}]}, "x"),
        ("/a", {"a": False}, False),
        ("/a", b"", None),
    ],
)
def test_call__result__is_what_the_response_path_leads_to(response: str, content: Any, result: Any) -> None:
    assert call(always(content), with_operation(response=response)).result == result


@pytest.mark.parametrize(
    "status, content, error",
    [
        (200, b"<html>", UnexpectedAnswerError),
        (200, b'{"a": 1, "a": 2}', UnexpectedAnswerError),
        (200, b"[" * 100 + b"]" * 100, UnexpectedAnswerError),
        (200, {"b": 1}, UnexpectedAnswerError),
        (200, {"a": None}, UnexpectedAnswerError),
        (302, {"a": 1}, UnexpectedAnswerError),
        (404, {"a": 1}, UnexpectedAnswerError),
        (500, {"a": 1}, UnexpectedAnswerError),
        (401, {"a": 1}, CredentialRejectedError),
        (403, {"a": 1}, CredentialRejectedError),
        (429, {"a": 1}, ProviderBusyError),
    ],
)
def test_call__answer_that_is_not_expected__is_a_problem(status: int, content: Any, error: type[ProblemError]) -> None:
    way = always(content, status)
    with pytest.raises(error) as raised:
        call(way, with_operation(response="/a"))
    assert "right" not in f"{raised.value} {raised.value.detail}"
    assert len(way.sent) == 1


def test_call__expected_status__is_no_error() -> None:
    assert call(always({"a": 1}, 404), with_operation(expect=[200, 404])).result == {"a": 1}
    with pytest.raises(UnexpectedAnswerError):
        call(always({"a": 1}, 201), with_operation(expect=[200, 404]))


@pytest.mark.parametrize(
    "operation, arguments, error",
    [
        ("nope", {}, NotFoundError),
        ("create_ticket", {}, InvalidError),
        ("create_ticket", {"queue": None}, InvalidError),
    ],
)
def test_call__unknown_operation_or_missing_argument__is_told(
    operation: str, arguments: dict[str, Any], error: type[ProblemError]
) -> None:
    way = always({})
    with pytest.raises(error):
        call(way, DEFINITION, operation, **arguments)
    assert way.sent == []


# --- pages ---------------------------------------------------------------------------------------

ITEMS = [["a", "b"], ["c", "d"], ["e"]]


def pages_by(style: dict[str, Any], script: Script, response: str = "/items") -> tuple[list[Any], list[str]]:
    way = Way(script)
    definition = with_operation(pagination=style, response=response, query={"q": "x"})
    found = [page.result for page in each_page(connection=connect(definition, way), operation="call")]
    return found, [sent.url.removeprefix(f"{URL}/call?") for sent in way.sent]


def parameter(request: OutboundRequest, name: str) -> str | None:
    found: str | None = httpx2.URL(request.url).params.get(name)
    return found


def test_pages__by_number__end_with_an_empty_or_short_one() -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        number = int(parameter(request, "page") or 0)
        return 200, {"items": ITEMS[number - 1] if number <= 3 else []}, {}

    found, asked = pages_by({"style": "page", "parameter": "page"}, script)
    assert (found, asked) == ([*ITEMS, []], ["q=x&page=1", "q=x&page=2", "q=x&page=3", "q=x&page=4"])
    found, asked = pages_by({"style": "page", "parameter": "page", "size": 2}, script)
    assert (found, len(asked)) == (ITEMS, 3)


def test_pages__by_offset__count_the_items() -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        return 200, {"items": list("abcde")[int(parameter(request, "skip") or 0) :][:2]}, {}

    found, asked = pages_by({"style": "offset", "parameter": "skip", "size": 2}, script)
    assert (found, asked) == (ITEMS, ["q=x&skip=0", "q=x&skip=2", "q=x&skip=4"])


@pytest.mark.parametrize("end", [None, "", "absent"])
def test_pages__by_cursor__end_without_one(end: str | None) -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        at = int(parameter(request, "after") or 0)
        meta = {"next": at + 1} if at < 2 else {} if end == "absent" else {"next": end}
        return 200, {"items": ITEMS[at], "meta": meta}, {}

    found, asked = pages_by({"style": "cursor", "parameter": "after", "at": "/meta/next"}, script)
    assert (found, asked) == (ITEMS, ["q=x", "q=x&after=1", "q=x&after=2"])


@pytest.mark.parametrize("prefix", ["https://desk.example", "", "https://DESK.example:443"])
@pytest.mark.parametrize("style", [{"style": "url", "at": "/next"}, {"style": "link"}], ids=["url", "link"])
def test_pages__by_address__are_followed_at_the_same_host(style: dict[str, str], prefix: str) -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        at = int(parameter(request, "at") or 0)
        following = f"{prefix}/api/call?at={at + 1}&z=%26" if at < 2 else None
        link = f'<{URL}?x>; rel="prev", <{following}>; title="a, b"; rel="last next"' if following else ""
        return 200, {"items": ITEMS[at], "next": following}, {"Link": link}

    found, asked = pages_by(style, script)
    assert found == ITEMS
    assert [url.partition("?")[2] or url for url in asked] == ["q=x", "at=1&z=%26", "at=2&z=%26"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/call?at=1",
        "http://desk.example/call?at=1",
        "https://desk.example:8443/call",
        "//evil.example/call",
        "https://desk.example@evil.example/",
        "https://desk.example\\@evil.example/",
        "javascript:alert(1)",
        "https://127.0.0.1/",
    ],
)
def test_pages__next_address_elsewhere__gets_no_credential(following: str) -> None:
    way = always({"items": [1], "next": following})
    definition = with_operation(pagination={"style": "url", "at": "/next"}, response="/items")
    pages = each_page(connection=connect(definition, way), operation="call")
    assert next(pages).result == [1]
    with pytest.raises((UnexpectedAnswerError, OutboundRefusedError)):
        next(pages)
    assert len(way.sent) == 1


def test_pages__that_lead_to_themselves_or_nowhere__end() -> None:
    style = {"style": "cursor", "parameter": "after", "at": "/next"}
    definition = with_operation(pagination=style, response="/items")
    with pytest.raises(UnexpectedAnswerError):
        list(each_page(connection=connect(definition, always({"items": [], "next": "x"})), operation="call"))
    for wrong in ([1], {"a": 1}, True, 1.5, "x" * 5000):
        with pytest.raises(UnexpectedAnswerError):
            call(always({"items": [], "next": wrong}), definition)
    endless = connect(with_operation(pagination={"style": "page", "parameter": "p"}), always([1]))
    pages = list(each_page(connection=endless, operation="call", cursor="3", most=7))
    assert (len(pages), pages[-1].next) == (7, "10")


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "\u0661", "9" * 13])
def test_page__cursor_that_is_no_number__is_refused(cursor: str) -> None:
    connection = connect(with_operation(pagination={"style": "page", "parameter": "p"}), always([]))
    with pytest.raises(InvalidError):
        call_operation(connection=connection, operation="call", cursor=cursor)


# --- limits --------------------------------------------------------------------------------------


def test_call__beyond_the_rate_limit__is_not_sent(db: None) -> None:
    way = always({})
    definition = changed(rate_limit={"requests": 2, "seconds": 60})
    definition["operations"]["own"] = {"path": "/own", "rate_limit": {"requests": 1, "seconds": 60}}
    connection, other = connect(definition, way), connect(definition, way)
    for _ in range(2):
        call_operation(connection=connection, operation="whoami")
    with pytest.raises(ProviderBusyError) as raised:
        call_operation(connection=connection, operation="whoami")
    assert 1 <= int(raised.value.headers["Retry-After"]) <= 60
    call_operation(connection=other, operation="whoami")  # each integration has its own count
    call_operation(connection=connection, operation="own")
    with pytest.raises(ProviderBusyError):
        call_operation(connection=connection, operation="own")
    assert len(way.sent) == 4


@pytest.mark.parametrize("header, seconds", [("7", "7"), ("999999", "3600"), ("soon", "60"), ("", "60"), ("-1", "60")])
def test_call__provider_that_is_busy__says_when_to_return(header: str, seconds: str) -> None:
    way = Way(lambda request: (429, {}, {"Retry-After": header}))
    with pytest.raises(ProviderBusyError) as raised:
        call(way, DEFINITION, "whoami")
    assert raised.value.headers["Retry-After"] == seconds


# --- the way out ---------------------------------------------------------------------------------


def test_call__over_the_network__is_guarded(settings: Settings) -> None:
    def script(asked: Asked) -> Answer:
        return (302, {"a": 1}) if asked.target == "/me" else (200, {"a": 1})

    with serve(script) as server:
        config = config_of(new_id(), server.url)
        connection = Connection(DEFINITION, config, {"/endpoints/default/credential": TOKEN}, new_id())
        with pytest.raises(OutboundRefusedError):
            call_operation(connection=connection, operation="whoami")
        assert server.asked == []
        settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
        with pytest.raises(UnexpectedAnswerError):
            call_operation(connection=connection, operation="whoami")
        assert [asked.target for asked in server.asked] == ["/me"]
    with pytest.raises(ProviderFailedError):
        call_operation(connection=connection, operation="whoami")
