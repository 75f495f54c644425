"""Verifying configurations against a provider on loopback."""

from __future__ import annotations

import base64
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from catalog.registry import get_provider
from catalog.verify import verify
from core.errors import ProblemError
from core.outbound import Limits
from tests.catalog.configs import build_minimal
from tests.catalog.provider_server import Answer, Asked, serve
from tests.core.outbound_servers import listen, make_tls, reply

BASIC = ("basic", {"type": "basic", "username": "ann", "secret": "S3CRET"})
TOKEN = ("token", {"type": "token", "secret": "S3CRET"})
CLIENT = ("o_auth_client", {"type": "o_auth_client", "client_id": "app", "client_secret": "S3CRET"})
Opened = tuple[str, dict[str, Any]]


@pytest.fixture(autouse=True)
def open_loopback(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]


def check(type_: str, secret: Opened | dict[str, Opened], limits: Limits | None = None, **config: Any) -> list[str]:
    """The slugs of what `verify` doubts. No message or representation may hold the secret."""
    provider = get_provider(type_)
    assert provider is not None
    whole = build_minimal(provider) | config
    assert provider.validate(whole) == []
    secrets = secret if isinstance(secret, dict) else {"/credential": secret}
    problems = verify(provider, whole, secrets, limits=limits or Limits(connect=2, total=2))
    for problem in problems:
        assert isinstance(problem, ProblemError)
        assert "S3CRET" not in f"{problem.message} {problem.remediation} {problem.detail} {problem!r}"
    return [problem.slug for problem in problems]


def reference(form: str) -> dict[str, str]:
    return {"type": f"{form}_id", "value": "some-id"}


def answer_with(status: int, content: object) -> Any:
    return lambda asked: (status, content)


# --- without a request -------------------------------------------------------------------------


def test_verify__mock__accepts_every_valid_configuration() -> None:
    assert check("assets_axonius_mock", {}) == []


def test_verify__provider_without_a_check__says_that_nothing_was_asked() -> None:
    provider = get_provider("sink_aws_s3")
    assert provider is not None
    [problem] = verify(provider, build_minimal(provider), {})
    assert (problem.slug, problem.status) == ("verification-unavailable", 200)
    assert "Signature Version 4" in problem.message


def test_verify__what_the_check_needs_is_absent__says_that_nothing_was_asked() -> None:
    assert check("ticketing_jira", {}, url="https://jira.example") == ["verification-unavailable"]
    account = {"type": "service_account_id", "value": "some-id"}
    found = check("ticketing_jira", BASIC, url="https://jira.example", credential=account)
    assert found == ["verification-unavailable"]
    assert check("notifications_teams", CLIENT) == ["verification-unavailable"]  # no tenant_id
    assert check("sink_datadog", TOKEN, site="datadog.elsewhere") == ["verification-unavailable"]
    assert check("identity_okta", CLIENT, credential=reference("o_auth_client")) == ["verification-unavailable"]


def test_verify__address_with_a_query__says_that_nothing_was_asked() -> None:
    assert check("ticketing_jira", BASIC, url="https://jira.example/?a=b") == ["verification-unavailable"]


# --- one request -------------------------------------------------------------------------------


def test_verify__basic__is_accepted_and_sent_in_the_header() -> None:
    with serve(answer_with(200, {"self": "me"})) as server:
        assert check("ticketing_jira", BASIC, url=server.url + "/") == []
    [asked] = server.asked
    assert (asked.method, asked.target) == ("GET", "/rest/api/2/myself")
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"ann:S3CRET").decode()


def test_verify__bearer__is_accepted_and_sent_in_the_header() -> None:
    with serve(answer_with(200, [])) as server:
        assert check("assets_iru", TOKEN, url=server.url) == []
    assert server.asked[0].target == "/api/v1/devices?limit=1"
    assert server.asked[0].headers["Authorization"] == "Bearer S3CRET"


def test_verify__own_header__is_accepted_and_sent_in_it() -> None:
    with serve(answer_with(200, {"id": 1})) as server:
        assert check("appsec_gitlab", TOKEN, url=server.url) == []
    assert server.asked[0].headers["PRIVATE-TOKEN"] == "S3CRET"


@pytest.mark.parametrize(
    ("status", "content", "expected"),
    [
        (200, {"self": "me"}, []),
        (401, b"", ["credential-rejected"]),
        (403, {}, ["credential-rejected"]),
        (200, b"<html>Log in</html>", ["provider-unexpected-answer"]),
        (200, {"other": 1}, ["provider-unexpected-answer"]),
        (200, "text", ["provider-unexpected-answer"]),
        (200, b"\xff", ["provider-unexpected-answer"]),
        (200, b'{"self": "me", "self": "you"}', ["provider-unexpected-answer"]),
        (200, b'{"self": "me", "more": ' + b"[" * 40 + b"]" * 40 + b"}", ["provider-unexpected-answer"]),
        (200, b'{"self": "me", "more": "' + b"x" * 60_000 + b'"}', []),
        (204, b"", ["provider-unexpected-answer"]),
        (302, b"", ["provider-unexpected-answer"]),
        (404, {}, ["provider-unexpected-answer"]),
        (429, {}, ["provider-unexpected-answer"]),
        (500, {"self": "me"}, ["provider-unexpected-answer"]),
    ],
)
def test_verify__any_answer__is_success_only_if_expected(status: int, content: object, expected: list[str]) -> None:
    with serve(answer_with(status, content)) as server:
        assert check("ticketing_jira", BASIC, url=server.url) == expected


def test_verify__silent_provider__is_a_timeout() -> None:
    done = threading.Event()

    def wait(asked: Asked) -> Answer:
        done.wait(5)
        return 200, {"self": "me"}

    with serve(wait) as server:
        try:
            found = check("ticketing_jira", BASIC, Limits(connect=0.3, total=0.3), url=server.url)
        finally:
            done.set()
    assert found == ["provider-timeout"]


def test_verify__nobody_listens__is_a_failure() -> None:
    with serve(answer_with(200, {})) as server:
        pass
    assert check("ticketing_jira", BASIC, url=server.url) == ["provider-failed"]


def test_verify__network_that_is_not_allowed__is_refused(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = []
    with serve(answer_with(200, {"self": "me"})) as server:
        assert check("ticketing_jira", BASIC, url=server.url) == ["outbound-refused"]
    assert server.asked == []


def test_verify__secret_that_cannot_be_a_header__is_refused() -> None:
    with serve(answer_with(200, [])) as server:
        broken = ("token", {"type": "token", "secret": "S3CRET\r\nX-Other: 1"})
        assert check("assets_iru", broken, url=server.url) == ["outbound-refused"]
    assert server.asked == []


@pytest.mark.parametrize(("skip", "expected"), [(True, []), (False, ["provider-failed"])])
def test_verify__own_certificate__is_accepted_only_if_told(skip: bool, expected: list[str], tmp_path: Path) -> None:
    tls, _ = make_tls(tmp_path, ["127.0.0.1"], [])
    body = b'{"user_name":"ann"}'
    script = reply(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    with listen(script, tls=tls) as listener:
        url = f"https://127.0.0.1:{listener.port}"
        assert check("siem_opensearch", BASIC, url=url, skip_tls_verify=skip) == expected


# --- answers that say no with a status of success ----------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"ok": True}, []),
        ({"ok": False, "error": "invalid_auth"}, ["credential-rejected"]),
        ({}, ["provider-unexpected-answer"]),
    ],
)
def test_verify__no_in_the_body__is_a_rejection(content: object, expected: list[str]) -> None:
    with serve(answer_with(200, content)) as server:
        assert check("chat_slack", TOKEN, url=server.url) == expected
    assert server.asked[0].target == "/api/auth.test"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": {"viewer": {"id": "1"}}}, []),
        ({"errors": [{"message": "no"}], "data": {"viewer": {"id": "1"}}}, ["credential-rejected"]),
        ({"data": None}, ["provider-unexpected-answer"]),
    ],
)
def test_verify__graphql__reads_the_errors(content: object, expected: list[str]) -> None:
    with serve(answer_with(200, content)) as server:
        assert check("ticketing_linear", TOKEN, url=server.url) == expected
    assert json.loads(server.asked[0].body) == {"query": "{ viewer { id } }"}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [(400, 5, []), (400, 6, ["credential-rejected"]), (403, 4, ["credential-rejected"])],
)
def test_verify__collector_without_events__tells_by_its_code(status: int, code: int, expected: list[str]) -> None:
    with serve(answer_with(status, {"code": code})) as server:
        url = f"{server.url}/services/collector/event"
        assert check("sink_splunk", {"/hec_credential": TOKEN}, hec_url=url) == expected
    assert (server.asked[0].target, server.asked[0].body) == ("/services/collector/event", b"")


# --- OAuth -------------------------------------------------------------------------------------


def oauth_provider(asked: Asked) -> Answer:
    if asked.target == "/oauth2/token":
        is_known = asked.form.get("client_secret") == "S3CRET"
        return (201, {"access_token": "t0ken"}) if is_known else (401, {"error": "invalid_client"})
    return (200, {}) if asked.headers.get("Authorization") == "Bearer t0ken" else (403, {})


def test_verify__oauth__fetches_a_token_and_uses_it() -> None:
    with serve(oauth_provider) as server:
        assert check("assets_crowdstrike", CLIENT, url=server.url) == []
    token, read = server.asked
    assert (token.method, token.form["grant_type"], token.form["client_id"]) == ("POST", "client_credentials", "app")
    assert read.target == "/devices/queries/devices/v1?limit=1"


def test_verify__oauth_token_alone__is_enough_where_nothing_else_is_asked() -> None:
    with serve(oauth_provider) as server:
        assert check("siem_crowdstrike", CLIENT, url=server.url) == []
    assert len(server.asked) == 1


def test_verify__oauth_client_refused__is_a_rejection() -> None:
    wrong = ("o_auth_client", {**CLIENT[1], "client_secret": "other"})
    with serve(oauth_provider) as server:
        assert check("assets_crowdstrike", wrong, url=server.url) == ["credential-rejected"]


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"<html>"),
        (200, {}),
        (500, {}),
        (200, {"access_token": 1}),
        (200, b'{"access_token": "a", "access_token": "b"}'),
    ],
)
def test_verify__oauth_without_a_token__is_unexpected(status: int, content: object) -> None:
    with serve(answer_with(status, content)) as server:
        assert check("assets_crowdstrike", CLIENT, url=server.url) == ["provider-unexpected-answer"]


def test_verify__oauth_in_header__sends_the_client_there() -> None:
    with serve(answer_with(200, {"access_token": "t"})) as server:
        assert check("edr_malwarebytes", CLIENT, url=server.url, account_identifier="acc") == []
    [asked] = server.asked
    assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"app:S3CRET").decode()
    assert asked.headers["accountid"] == "acc"
    assert asked.form == {"grant_type": "client_credentials", "scope": "read"}


def test_verify__oauth_scopes_of_the_configuration__are_asked_for() -> None:
    with serve(answer_with(200, {"access_token": "t", "result": []})) as server:
        credential = reference("o_auth_client")
        found = check("ticketing_servicenow", CLIENT, url=server.url, credential=credential, oauth_scopes=["a", "b"])
    assert found == []
    assert server.asked[0].form["scope"] == "a b"


def test_verify__token_url_of_the_credential__comes_first() -> None:
    with serve(oauth_provider) as tokens, serve(answer_with(200, {"username": "app"})) as server:
        own = ("o_auth_client", {**CLIENT[1], "token_url": f"{tokens.url}/oauth2/token"})
        credential = reference("o_auth_client")
        assert check("siem_elasticsearch", own, url=server.url, credential=credential) == []
        found = check("siem_elasticsearch", CLIENT, url=server.url, credential=credential)
    assert found == ["verification-unavailable"]  # the provider has no token service of its own
    assert len(tokens.asked) == 1


# --- several credentials, several ways ---------------------------------------------------------


def test_verify__two_credentials__are_sent_together() -> None:
    other = ("token", {"type": "token", "secret": "0THER"})
    with serve(answer_with(200, {"data": []})) as server:
        secrets = {"/credential": TOKEN, "/application_key_credential": other}
        assert check("siem_datadog", secrets, site=server.url) == []
        assert check("siem_datadog", {"/credential": TOKEN}, site=server.url) == ["verification-unavailable"]
    [asked] = server.asked
    assert asked.target == "/api/v2/security_monitoring/rules?page%5Bsize%5D=1"
    assert (asked.headers["DD-API-KEY"], asked.headers["DD-APPLICATION-KEY"]) == ("S3CRET", "0THER")


@pytest.mark.parametrize(
    ("accepted", "expected", "requests"),
    [("ApiKey S3CRET", [], 1), ("Bearer S3CRET", [], 2), ("none", ["credential-rejected"], 2)],
)
def test_verify__token_of_two_kinds__is_tried_as_both(accepted: str, expected: list[str], requests: int) -> None:
    def answer(asked: Asked) -> Answer:
        return (200, {"username": "a"}) if asked.headers["Authorization"] == accepted else (401, {})

    with serve(answer) as server:
        found = check("siem_elasticsearch", TOKEN, url=server.url, credential=reference("token"))
    assert found == expected
    assert len(server.asked) == requests


def test_verify__optional_parts__are_sent_where_they_are_configured() -> None:
    secrets = {"/credential": BASIC, "/auth_options/shared_secret": ("secret", {"type": "secret", "secret": "sh"})}
    options = {"run_as": "bob", "shared_secret": reference("secret")}
    with serve(answer_with(200, {"username": "a"})) as server:
        assert check("siem_elasticsearch", secrets, url=server.url, auth_options=options) == []
        assert check("siem_elasticsearch", BASIC, url=server.url) == []
    with_them, without = server.asked
    assert with_them.headers["es-security-runas-user"] == "bob"
    assert with_them.headers["ES-Client-Authentication"] == "SharedSecret sh"
    assert not {"es-security-runas-user", "ES-Client-Authentication"} & set(without.headers)


def test_verify__values_in_the_path__cannot_leave_it() -> None:
    with serve(answer_with(200, {"login": "a"})) as server:
        assert check("identity_github", TOKEN, url=server.url, organization_slug="../../user?x=1#") == []
        found = check("identity_github", TOKEN, url=server.url, organization_slug="..")
    assert [asked.target for asked in server.asked] == ["/api/v3/orgs/..%2F..%2Fuser%3Fx%3D1%23"]
    assert found == ["verification-unavailable"]


def test_verify__form_and_json_bodies__are_encoded() -> None:
    odd = ("basic", {"type": "basic", "username": 'a&b="c"', "secret": "S3CRET"})
    with serve(answer_with(200, b"token")) as server:
        assert check("ticketing_bmchelix", odd, url=server.url) == []
        assert check("assets_nozomi_vantage", odd, url=server.url) == []
    assert server.asked[0].form == {"username": 'a&b="c"', "password": "S3CRET"}
    assert json.loads(server.asked[1].body) == {"key_name": 'a&b="c"', "key_token": "S3CRET"}
