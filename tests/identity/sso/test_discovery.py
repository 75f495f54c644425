"""What OpenID Connect providers publish: kept for a while, fetched anew when a key changes, and bounded."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.conf import LazySettings

from core.outbound import Limits
from identity.sso import discovery, oidc
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_refused, code_of
from tests.identity.sso.configs import OIDC, make_sso
from tests.identity.sso.oidc_provider import Answer, OidcProvider, rsa_key

Made = dict[str, Any]
DISCOVERY = "/.well-known/openid-configuration"


def test_discovery__several_sign_ins__fetch_it_once(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    for _ in range(3):
        code_of(browser.sign_in(sso))
    assert provider.asked.count(DISCOVERY) == provider.asked.count("/jwks") == 1


def test_discovery__kept_for_long__is_fetched_anew(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_of(browser.sign_in(sso))
    monkeypatch.setattr(discovery, "KEPT", 0.0)
    code_of(browser.sign_in(sso))
    assert provider.asked.count(DISCOVERY) > 1


def test_keys__rotated__are_fetched_once_more(sso: Made, ada: Made, provider: OidcProvider, browser: Browser) -> None:
    code_of(browser.sign_in(sso))
    provider.keys = [rsa_key("two"), *provider.keys]
    code_of(browser.sign_in(sso))
    assert provider.asked.count("/jwks") == 2


def test_keys__withdrawn__are_good_no_longer_than_they_are_kept(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    code_of(browser.sign_in(sso))
    monkeypatch.setattr(discovery, "KEPT", 0.0)
    provider.answers["/jwks"] = Answer(body=json.dumps({"keys": [rsa_key("two").as_dict(private=False)]}).encode())
    assert_refused(browser.sign_in(sso), "no key")


def test_keys__unknown_again_and_again__are_fetched_at_a_bounded_rate(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    code_of(browser.sign_in(sso))
    provider.header = {"kid": "nobody's"}
    for _ in range(5):
        assert_refused(browser.sign_in(sso), "no key")
    assert provider.asked.count("/jwks") == 2


def test_keys__of_the_same_id__are_told_apart_by_their_kind(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    from_jwks = [key.as_dict(private=False) for key in (provider.keys[0], rsa_key("one"))]
    provider.answers["/jwks"] = Answer(body=json.dumps({"keys": from_jwks}).encode())
    assert_refused(browser.sign_in(sso), "no key")


@pytest.mark.parametrize(
    "keys", [None, {}, [], "x", [None], [{}], [{"kty": "RSA"}], [{"kty": "RSA", "n": "AQ", "e": "AQAB"}], [[]] * 1000]
)
def test_keys__not_usable__are_passed_over(keys: Any, sso: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.answers["/jwks"] = Answer(body=json.dumps({"keys": keys}).encode())
    assert_refused(browser.sign_in(sso), "no key")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"\xff\xfe", b'{"a":1,"a":2}', b"[" * 100_000, b" " * 200_000],
    ids=["nothing", "html", "array", "null", "no utf-8", "twice", "deep", "huge"],
)
@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
def test_provider__answer_that_is_no_object__is_502(
    path: str, body: bytes, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.answers[path] = Answer(body=body)
    answer = browser.start(sso) if path == DISCOVERY else browser.sign_in(sso)
    assert_problem(answer, 502, "provider-failed")


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token"])
@pytest.mark.parametrize("status", [302, 404, 500])
def test_provider__status_of_failure__is_502(
    status: int, path: str, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.answers[path] = Answer(status=status, body=b"{}")
    answer = browser.start(sso) if path == DISCOVERY else browser.sign_in(sso)
    assert_problem(answer, 502, "provider-failed")


def test_provider__slow__is_504_and_not_asked_again_at_once(
    sso: Made, provider: OidcProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "LIMITS", Limits(connect=0.2, total=0.2))
    provider.answers[DISCOVERY] = Answer(body=b"{}", delay=1)
    for _ in range(3):
        assert_problem(browser.start(sso), 504, "provider-timeout")
    assert provider.asked.count(DISCOVERY) == 1


def test_provider__slow_with_tokens__costs_no_more_than_the_limit(
    sso: Made, provider: OidcProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    monkeypatch.setattr(oidc, "LIMITS", Limits(connect=0.3, total=0.3))
    provider.answers["/token"] = Answer(body=b"{}", delay=2)
    assert_problem(browser.sign_in(sso), 504, "provider-timeout")
    assert time.monotonic() - began < 1.5


def test_provider__secret_it_does_not_know__is_502(acme: Api, provider: OidcProvider, browser: Browser) -> None:
    sso = make_sso(acme, OIDC | {"issuer_url": provider.issuer, "client_secret": "wrong"})
    answer = browser.sign_in(sso)
    assert "client and its secret" in assert_problem(answer, 502, "provider-failed")["message"]
    assert b"wrong" not in answer.content


@pytest.mark.parametrize("issuer", ["https://evil.example", "", None, 7, "http://127.0.0.1"])
def test_discovery__of_another_issuer__is_502(issuer: Any, sso: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.discovery = {"issuer": issuer}
    assert_problem(browser.start(sso), 502, "provider-failed")


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "value",
    [None, 7, "", "javascript:alert(1)", "http://login.example/x", "https://a@b.example", "/relative", "x\r\ny"],
)
def test_discovery__endpoint_that_cannot_be_used__is_502(
    name: str, value: Any, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.discovery = {name: value}
    assert_problem(browser.start(sso), 502, "provider-failed")


def test_discovery__endpoint_inside_the_network__is_not_called(
    sso: Made, provider: OidcProvider, browser: Browser, settings: LazySettings
) -> None:
    provider.discovery = {"token_endpoint": "https://169.254.169.254/latest"}
    assert_problem(browser.sign_in(sso), 400, "outbound-refused")


def test_discovery__network_not_opened__is_not_called(
    sso: Made, provider: OidcProvider, browser: Browser, settings: LazySettings
) -> None:
    settings.OUTBOUND_ALLOW = []
    assert_problem(browser.start(sso), 400, "outbound-refused")
    assert provider.asked == []


def test_discovery__issuer_with_a_slash_at_its_end__is_the_same(
    acme: Api, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.discovery, provider.claims = {"issuer": f"{provider.issuer}/"}, {"iss": f"{provider.issuer}/"}
    code_of(browser.sign_in(make_sso(acme, OIDC | {"issuer_url": provider.issuer})))


def test_documents__kept__are_bounded_in_number(
    sso: Made, provider: OidcProvider, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "MOST_DOCUMENTS", 1)
    code = browser.sign_in(sso)
    assert code.status_code in (303, 403)
    assert len(discovery._documents) == 1
