"""Who is let in: members by their link, else by a verified address, new ones only where that is configured."""

from __future__ import annotations

from typing import Any

import pytest

from core.tenancy import scoped
from identity.members.models import Member
from identity.sso.models import SsoLink
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_refused, code_of
from tests.identity.sso.configs import OIDC, SAML, make_sso, put_sso
from tests.identity.sso.oidc_provider import OidcProvider, oidc_provider
from tests.identity.sso.saml_idp import SamlIdp
from tests.identity.test_member import make_member, update
from tests.objects import ok

Made = dict[str, Any]


def configured(api: Api, provider: OidcProvider, **members: Any) -> Made:
    return make_sso(api, OIDC | {"issuer_url": provider.issuer} | members)


def signed_in(browser: Browser, sso: Made) -> Made:
    """The member of the session that a sign-in ends in."""
    member: Made = ok(browser.exchange(code_of(browser.sign_in(sso))))["member"]
    return member


def test_link__made_once__holds_when_the_address_changes(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    signed_in(browser, sso)
    provider.user |= {"email": "ada@married.example", "email_verified": False}
    assert signed_in(browser, sso)["id"] == ada["id"]


def test_link__address_given_to_another_user__is_another_subject(
    sso: Made, ada: Made, provider: OidcProvider, browser: Browser, acme: Api
) -> None:
    signed_in(browser, sso)
    provider.user |= {"sub": "u-2", "email": "bob@example.com"}
    assert_refused(browser.sign_in(sso), "bob@example.com")
    bob = make_member(acme, "bob@example.com")
    assert signed_in(browser, sso)["id"] == bob["id"]


def test_link__of_one_configuration__is_not_of_another(
    sso: Made, ada: Made, acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    signed_in(browser, sso)
    provider.user |= {"email": "mallory@example.com"}
    assert_refused(browser.sign_in(configured(acme, provider)), "mallory@example.com")


def test_link__when_the_issuer_changes__is_not_carried_over(
    sso: Made, ada: Made, acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    """The same subject at another provider is somebody else."""
    signed_in(browser, sso)
    with oidc_provider() as other:
        other.user = {"sub": "u-1", "email": "mallory@example.com", "email_verified": True}
        ok(put_sso(acme, sso, OIDC | {"issuer_url": other.issuer}))
        assert_refused(browser.sign_in(sso), "mallory@example.com")


@pytest.mark.parametrize("verified", [False, "false", 0, "yes", [], None])
def test_address__not_said_to_be_verified__links_nobody(
    verified: Any, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.claims = {"email_verified": verified}
    assert_refused(browser.sign_in(sso), "verified")


@pytest.mark.parametrize("verified", [True, "true"])
def test_address__verified__links_its_member(
    verified: Any, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.claims = {"email_verified": verified, "email": "ADA@Example.COM"}
    assert signed_in(browser, sso)["id"] == ada["id"]


def test_address__trusted_by_the_configuration__links_unless_the_provider_denies(
    acme: Api, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    sso = configured(acme, provider, trust_email=True)
    provider.claims = {"email_verified": False}
    assert_refused(browser.sign_in(sso), "verified")
    provider.claims = {"email_verified": None}
    assert signed_in(browser, sso)["id"] == ada["id"]


def test_address__of_saml_not_trusted__links_nobody(acme: Api, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    sso = make_sso(acme, SAML | {"idp_sso_url": idp.url, "trust_email": False})
    assert_refused(browser.sign_in_by_post(sso), "verified")


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example.com", "ada@example", "a da@example.com", "adä@example.com", 7, None,
              "ada@example.com\x00", "ada@exam\u212aple.com", "ada@" + "x" * 300 + ".com"],
)  # fmt: skip
def test_address__that_is_none__links_nobody(
    email: Any, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    provider.thin = False
    provider.claims = {"email": email}
    provider.user |= {"email": email}
    answer = browser.sign_in(sso)
    assert_problem(answer, 403, "sign-in-refused")


def test_domains__listed__keep_all_others_out(acme: Api, ada: Made, provider: OidcProvider, browser: Browser) -> None:
    sso = configured(acme, provider, allowed_domains=["Acme.example", "example.com"])
    assert signed_in(browser, sso)["id"] == ada["id"]
    for email in ("ada@evil.example", "ada@sub.example.com", "ada@notexample.com", None):
        provider.claims = {"email": email}
        provider.user |= {"email": email}
        assert_refused(browser.sign_in(sso), "domain")


def test_provisioning__none__lets_linked_members_in_only(
    acme: Api, sso: Made, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    signed_in(browser, sso)
    ok(put_sso(acme, sso, OIDC | {"issuer_url": provider.issuer, "provisioning": "none"}))
    assert signed_in(browser, sso)["id"] == ada["id"]
    make_member(acme, "bob@example.com")
    provider.user |= {"sub": "u-2", "email": "bob@example.com"}
    assert_refused(browser.sign_in(sso), "linked")


def test_provisioning__create__makes_a_member_of_the_least_role(
    acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    sso = configured(acme, provider, provisioning="create")
    made = signed_in(browser, sso)
    assert (made["name"], made["fullname"], made["role_binding"]) == ("ada@example.com", "Ada", ["member"])
    assert made["state"] == "enabled"
    assert signed_in(browser, sso)["id"] == made["id"]
    log_on = Api("").post(f"/v1/auth/logon/{acme.id}", {"name": made["name"], "secret": "seven horses eat paper"})
    assert_problem(log_on, 401, "logon-failed")


def test_provisioning__create_without_a_verified_address__makes_nobody(
    acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    sso = configured(acme, provider, provisioning="create")
    provider.claims = {"email_verified": False}
    assert_refused(browser.sign_in(sso), "verified")
    with scoped(acme.scope):
        assert (Member.objects.count(), SsoLink.objects.count()) == (0, 0)


@pytest.mark.parametrize("state", ["disabled", "locked"])
def test_member__shut_out__is_neither_let_in_nor_linked(
    state: str, sso: Made, ada: Made, acme: Api, browser: Browser
) -> None:
    assert update(acme, ada, state=state).status_code == 200
    assert_problem(browser.sign_in(sso), 403, f"member-{state}")
    with scoped(acme.scope):
        assert SsoLink.objects.count() == 0


def test_member__that_is_a_service__is_not_linked(acme: Api, provider: OidcProvider, browser: Browser) -> None:
    make_member(acme, "ada@example.com", type="service")
    assert_refused(browser.sign_in(configured(acme, provider)), "ada@example.com")


def test_member__that_is_a_service__is_not_made_a_person(acme: Api, provider: OidcProvider, browser: Browser) -> None:
    make_member(acme, "ada@example.com", type="service")
    assert_problem(browser.sign_in(configured(acme, provider, provisioning="create")), 403, "sign-in-refused")


def test_member__of_another_organization__is_not_found(
    globex: Api, ada: Made, provider: OidcProvider, browser: Browser
) -> None:
    assert_refused(browser.sign_in(configured(globex, provider)), "ada@example.com")


def test_member__deleted__is_not_let_in_by_the_old_link(sso: Made, ada: Made, acme: Api, browser: Browser) -> None:
    signed_in(browser, sso)
    assert acme.delete(f"/v1/members/{ada['id']}").status_code == 204
    assert_refused(browser.sign_in(sso), "ada@example.com")


def test_member__of_saml_created__has_the_name_of_the_assertion(acme: Api, idp: SamlIdp, browser: Browser) -> None:
    sso = make_sso(acme, SAML | {"idp_sso_url": idp.url, "provisioning": "create"})
    session = ok(browser.exchange(code_of(browser.sign_in_by_post(sso))))
    assert (session["member"]["name"], session["member"]["fullname"]) == ("ada@example.com", "Ada Lovelace")
