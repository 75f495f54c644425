"""Calling operations of custom providers: what is sent, what is read, pages, limits, and what must not happen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from catalog.customs.calls import Connection, call_operation
from catalog.errors import CredentialRejectedError, ProviderBusyError, UnexpectedAnswerError
from core.columns import new_id
from core.errors import InvalidError, NotFoundError, ProblemError, ProviderFailedError
from core.limits.limiter import limiter
from core.outbound import OutboundRefusedError, OutboundRequest
from tests.catalog.definitions import DEFINITION, changed, config_of, with_operation
from tests.catalog.provider_server import Answer, Asked, serve
from tests.catalog.ways import TOKEN, URL, Way, always, call, connect


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


@pytest.mark.parametrize(
    "scope, audience, form",
    [
        (
            "read:{tags.site} write",
            "https://{tags.site}.example",
            "read%3Anorth+write&audience=https%3A%2F%2Fnorth.example",
        ),
        ("{tags.site}", "{tags.site}", "north&audience=north"),
    ],
)
def test_call__oauth_parameters_with_tags__are_filled_as_they_are(scope: str, audience: str, form: str) -> None:
    way = always({"access_token": "x"})
    scheme = {"scheme": "oauth2", "token_url": "https://{tags.site}.example", "scope": scope}
    auth = {"o_auth_client": {**scheme, "params": {"audience": audience}}}
    client = ("o_auth_client", {"client_id": "app", "client_secret": "hush"})
    call_operation(connection=connect(with_operation() | {"auth": auth}, way, client), operation="call")
    assert way.sent[0].url == "https://north.example"
    assert way.sent[0].body == f"grant_type=client_credentials&scope={form}".encode()


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
