"""ID tokens: every claim, key and algorithm that may be wrong, and what is forgiven."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from tests.identity.sso.browser import Browser, assert_refused, code_of
from tests.identity.sso.oidc_provider import Answer, OidcProvider, rsa_key

Made = dict[str, Any]


def public_pem(provider: OidcProvider) -> bytes:
    key: Any = provider.keys[0].public_key
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, form)
    return pem


def unsigned(header: Made, claims: Made) -> str:
    parts = (json.dumps(part).encode() for part in ({**header, "alg": "none"}, claims))
    return ".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


def test_id_token__alg_none__is_refused(sso: Made, ada: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.sign = unsigned
    assert_refused(browser.sign_in(sso), "algorithm")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_id_token__hmac_with_the_public_key__is_refused(
    algorithm: str, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    secret = OctKey.import_key(base64.urlsafe_b64encode(public_pem(provider)).decode())
    provider.sign = lambda header, claims: jwt.encode(
        {**header, "alg": algorithm}, claims, secret, algorithms=[algorithm]
    )
    assert_refused(browser.sign_in(sso), "algorithm")


def test_id_token__hmac_key_among_the_published__is_passed_over(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    shared = OctKey.generate_key(256, {"kid": "shared"})
    provider.answers["/jwks"] = Answer(body=json.dumps({"keys": [shared.as_dict(private=True)]}).encode())
    provider.header = {"kid": "shared"}
    assert_refused(browser.sign_in(sso), "no key")


def test_id_token__signed_by_another_key_of_the_same_id__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    other = rsa_key("one")
    provider.sign = lambda header, claims: jwt.encode(header, claims, other, algorithms=["RS256"])
    assert_refused(browser.sign_in(sso), "signature is wrong")


def test_id_token__key_in_its_own_header__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    other = rsa_key("mine")
    provider.sign = lambda header, claims: jwt.encode(
        {"alg": "RS256", "kid": "mine", "jwk": other.as_dict(private=False)}, claims, other, algorithms=["RS256"]
    )
    assert_refused(browser.sign_in(sso), "no key")


def test_id_token__algorithm_of_another_kind_of_key__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    other = ECKey.generate_key("P-256", {"kid": "one"})
    provider.sign = lambda header, claims: jwt.encode(
        {"alg": "ES256", "kid": "one"}, claims, other, algorithms=["ES256"]
    )
    assert_refused(browser.sign_in(sso), "no key")


def test_id_token__small_key__is_refused(sso: Made, ada: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.keys = [RSAKey.generate_key(1024, {"kid": "small"})]
    assert_refused(browser.sign_in(sso), "no key")


@pytest.mark.parametrize(
    ("claims", "because"),
    [
        ({"aud": "other"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["other", "another"]}, "aud"),
        ({"aud": {"app": 1}}, "aud"),
        ({"aud": ["app", "other"]}, "azp"),
        ({"aud": ["app", "other"], "azp": "other"}, "azp"),
        ({"azp": "other"}, "azp"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": None}, "issuer"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "x" * 43}, "nonce"),
        ({"nonce": ["x"]}, "nonce"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 7}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": -70}, "expired"),
        ({"iat": None}, "iat"),
        ({"iat": 70}, "future"),
        ({"nbf": 70}, "not valid yet"),
    ],
    ids=str,
)
def test_id_token__claim_that_is_wrong__is_refused(
    claims: Made, because: str, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    now = int(time.time())
    is_time = {name: type(value) is int and name in ("exp", "iat", "nbf") for name, value in claims.items()}
    provider.claims = {name: now + value if is_time[name] else value for name, value in claims.items()}
    assert_refused(browser.sign_in(sso), because)


@pytest.mark.parametrize("claims", [{"exp": -50}, {"iat": 50}, {"nbf": 50}, {"exp": 50.5}], ids=str)
def test_id_token__clocks_that_differ_a_little__are_forgiven(
    claims: Made, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.claims = {name: time.time() + value for name, value in claims.items()}
    code_of(browser.sign_in(sso))


def test_id_token__several_audiences_with_our_azp__is_taken(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.claims = {"aud": ["app", "other"], "azp": "app"}
    code_of(browser.sign_in(sso))


@pytest.mark.parametrize(
    "text", ["", "x", "a.b", "a.b.c", "e30.e30.", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", "." * 9, "é", "x" * 40_000]
)
def test_id_token__no_token_at_all__is_refused(
    text: str, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.sign = lambda header, claims: text
    assert_refused(browser.sign_in(sso), "ID token")


@pytest.mark.parametrize("payload", [b"[]", b"x", b'{"sub":1,"sub":2}', b"{" * 3000, b"\xff"])
def test_id_token__payload_that_is_no_claims__is_refused(
    payload: bytes, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.sign = lambda header, claims: jws.serialize_compact(header, payload, provider.keys[0])
    assert_refused(browser.sign_in(sso), "no claims")


def test_id_token__critical_header_that_is_not_understood__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    def sign(header: Made, claims: Made) -> str:
        protected = {**header, "crit": ["unheard-of"], "unheard-of": 1}
        parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in (protected, claims)]
        honest = jws.serialize_compact(header, b"{}", provider.keys[0])
        return ".".join([*parts, honest.rpartition(".")[2]])

    provider.sign = sign
    assert_refused(browser.sign_in(sso), "signature is wrong")
