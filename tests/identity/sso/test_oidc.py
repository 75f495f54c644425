"""Signing in by OpenID Connect, and every way in which an answer may be wrong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from django.conf import LazySettings
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_lost, assert_refused, code_of, query_of
from tests.identity.sso.configs import OIDC, make_sso
from tests.identity.sso.oidc_provider import Answer, OidcProvider, oidc_provider, rsa_key

Made = dict[str, Any]


def test_oidc__honest_provider__signs_the_member_in(sso: Made, ada: Made, browser: Browser) -> None:
    assert code_of(browser.sign_in(sso))
    assert code_of(browser.sign_in(sso)), "and again, by the link"


def test_oidc__start__asks_as_the_standard_says(sso: Made, provider: OidcProvider, browser: Browser) -> None:
    url = browser.at_provider(sso)
    asked = query_of(url)
    assert url.startswith(f"{provider.issuer}/authorize?")
    assert asked["redirect_uri"] == "http://localhost:8000/v1/auth/oidc/callback"
    assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == ("app", "code", "S256")
    others = query_of(browser.at_provider(sso))
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) == 43
        assert asked[name] != others[name]


def test_oidc__endpoint_with_a_query__keeps_it(sso: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.discovery = {"authorization_endpoint": f"{provider.issuer}/authorize?tenant=7"}
    assert query_of(browser.at_provider(sso))["tenant"] == "7"


OTHER_KEYS: list[Callable[[], Any]] = [
    lambda: ECKey.generate_key("P-256", {"kid": "e"}),
    lambda: OKPKey.generate_key("Ed25519", {"kid": "o"}),
]


@pytest.mark.parametrize("make", OTHER_KEYS, ids=["EC", "OKP"])
def test_oidc__other_kinds_of_keys__are_taken(
    make: Callable[[], Any], sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.keys = [make(), rsa_key("one")]
    code_of(browser.sign_in(sso))


def test_oidc__key_without_id__is_taken_if_it_is_the_only_one(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.keys = [rsa_key(None)]
    code_of(browser.sign_in(sso))


def test_oidc__secret_posted__where_the_provider_wants_it(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    code_of(browser.sign_in(sso))


def test_oidc__claims_at_userinfo_only__are_fetched(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.thin = True
    code_of(browser.sign_in(sso))
    assert "/userinfo" in provider.asked


def test_oidc__userinfo_of_somebody_else__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.thin = True
    provider.claims = {"sub": "another"}
    assert_refused(browser.sign_in(sso), "another user")


# --- ID tokens -----------------------------------------------------------------------------------


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


# --- state, browser, code ------------------------------------------------------------------------


def test_callback__state_used_twice__is_lost(sso: Made, ada: Made, browser: Browser) -> None:
    back = browser.back_from(browser.at_provider(sso))
    code_of(browser.get(back))
    assert_lost(browser.get(back))


def test_callback__code_used_twice__is_refused(sso: Made, ada: Made, provider: OidcProvider, browser: Browser) -> None:
    used = query_of(browser.back_from(browser.at_provider(sso)))["code"]
    provider.codes.pop(used)
    fresh = query_of(browser.back_from(browser.at_provider(sso)))
    assert_refused(browser.get(f"/v1/auth/oidc/callback?{urlencode(fresh | {'code': used})}"), "used before")


def test_callback__code_of_another_sign_in__is_refused(sso: Made, ada: Made, browser: Browser) -> None:
    """An injected code: PKCE binds it to the sign-in that it was made for."""
    stolen = query_of(Browser().back_from(Browser().at_provider(sso)))["code"]
    mine = query_of(browser.back_from(browser.at_provider(sso)))
    assert_refused(
        browser.get(f"/v1/auth/oidc/callback?{urlencode(mine | {'code': stolen})}"), "does not take the code"
    )


def test_callback__state_of_another_browser__is_lost_and_still_good_in_its_own(
    sso: Made, ada: Made, browser: Browser
) -> None:
    back = browser.back_from(browser.at_provider(sso))
    victim = Browser()
    assert_lost(victim.get(back))
    victim.at_provider(sso)
    assert_lost(victim.get(back))
    code_of(browser.get(back))


@pytest.mark.parametrize(
    "query", ["", "?state=", "?state=x", f"?state={'x' * 43}&code=1", "?code=1", "?state=%00", "?state=a&state=b"]
)
def test_callback__no_sign_in_at_all__is_lost(query: str, sso: Made, browser: Browser) -> None:
    browser.at_provider(sso)
    assert_lost(browser.get(f"/v1/auth/oidc/callback{query}"))


def test_callback__sign_in_in_two_tabs__both_finish(sso: Made, ada: Made, browser: Browser) -> None:
    first, second = (browser.back_from(browser.at_provider(sso)) for _ in range(2))
    code_of(browser.get(second))
    code_of(browser.get(first))


@pytest.mark.parametrize("error", ["access_denied", "<script>", ""])
def test_callback__provider_says_no__is_refused(
    error: str, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.callback = {"code": None, "error": error}
    answer = browser.sign_in(sso)
    assert_refused(answer, "did not sign you in")
    assert b"<script>" not in answer.content


def test_callback__without_a_code__is_refused(sso: Made, provider: OidcProvider, browser: Browser) -> None:
    provider.callback = {"code": None}
    assert_refused(browser.sign_in(sso), "no code")


# --- mix-up --------------------------------------------------------------------------------------


def test_mix_up__token_of_another_provider__is_refused(
    acme: Api, ada: Made, sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    """The other provider answers with an ID token that the honest one has made for us."""
    with oidc_provider() as evil:
        theirs = make_sso(acme, OIDC | {"issuer_url": evil.issuer})
        evil.discovery = {"jwks_uri": f"{provider.issuer}/jwks"}
        evil.sign = lambda header, claims: provider.id_token({"client_id": "app", "nonce": claims["nonce"]})
        answer = browser.sign_in(theirs)
    assert_refused(answer, "another issuer")


def test_mix_up__answer_that_names_another_issuer__sends_its_code_nowhere(
    sso: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.callback = {"iss": "https://honest.example"}
    assert_refused(browser.sign_in(sso), "iss")
    assert "/token" not in provider.asked


def test_mix_up__answer_without_the_promised_issuer__is_refused(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.discovery = {"authorization_response_iss_parameter_supported": True}
    assert_refused(browser.sign_in(sso), "iss")
    provider.callback = {"iss": provider.issuer}
    code_of(browser.sign_in(sso))


def test_mix_up__state_of_a_saml_sign_in__is_lost(settings: LazySettings, sso: Made, browser: Browser) -> None:
    state = query_of(browser.at_provider(sso))["state"]
    assert_lost(browser.post({"SAMLResponse": "AAAA", "RelayState": state}))


def test_mix_up__configuration_deleted_meanwhile__is_lost(acme: Api, sso: Made, ada: Made, browser: Browser) -> None:
    back = browser.back_from(browser.at_provider(sso))
    assert acme.delete(f"/v1/auth/sso/{sso['id']}").status_code == 204
    assert_lost(browser.get(back))
    assert_problem(browser.start(sso), 404, "not-found")
