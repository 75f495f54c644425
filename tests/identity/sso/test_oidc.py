"""Signing in by OpenID Connect, and every way in which an answer may be wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from joserfc.jwk import ECKey, OKPKey

from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_lost, assert_refused, code_of, query_of
from tests.identity.sso.configs import OIDC, make_sso
from tests.identity.sso.oidc_provider import OidcProvider, oidc_provider, rsa_key

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
