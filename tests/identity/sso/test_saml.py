"""Signing in by SAML, and every way in which a response may be wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import minisaml.response
import pytest

from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_lost, assert_refused, code_of, query_of
from tests.identity.sso.configs import SAML as CONFIG
from tests.identity.sso.configs import make_sso, put_sso
from tests.identity.sso.keys import idp_signer, new_certificate, other_signer
from tests.identity.sso.saml_idp import Element, SamlIdp, at, instant

Made = dict[str, Any]
Bend = Callable[[Element], Any]
DATA, CONDITIONS = ".//saml:SubjectConfirmationData", ".//saml:Conditions"


@pytest.mark.parametrize("signs", [("assertion",), ("response",), ("assertion", "response")])
def test_saml__honest_provider__signs_the_member_in(
    signs: tuple[str, ...], saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.signs = signs
    assert code_of(browser.sign_in_by_post(saml_sso))
    assert code_of(browser.sign_in_by_post(saml_sso)), "and again, by the link"


def test_saml__request__says_what_the_provider_needs(saml_sso: Made, idp: SamlIdp, browser: Browser) -> None:
    url = browser.at_provider(saml_sso)
    browser.form_from(url)
    request = idp.requests[0]
    assert len(query_of(url)["RelayState"]) <= 80
    assert request.get("Destination") == idp.url
    assert request.get("AssertionConsumerServiceURL") == "http://localhost:8000/v1/auth/saml/acs"
    assert at(request, "saml:Issuer").text == "https://synqmgr.example"
    assert at(request, "samlp:NameIDPolicy").get("Format") == idp.name_id_format


def test_saml__response_of_the_test_provider__is_accepted_by_another_library(
    saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    form = browser.form_from(browser.at_provider(saml_sso))
    accepted = minisaml.response.validate_response(
        data=form["SAMLResponse"],
        certificate=idp_signer().certificate,
        expected_audience="https://synqmgr.example",
        idp_issuer=idp.entity_id,
    )
    assert accepted.name_id == "ada@example.com"


def test_saml__certificates_old_and_new__are_both_good(acme: Api, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    both = other_signer().pem + idp_signer().pem
    sso = make_sso(acme, CONFIG | {"idp_sso_url": idp.url, "idp_certificate": both})
    code_of(browser.sign_in_by_post(sso))
    idp.signer = other_signer()
    code_of(browser.sign_in_by_post(sso))


def test_saml__certificate_replaced__ends_the_old_one(
    acme: Api, saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    put_sso(acme, saml_sso, CONFIG | {"idp_sso_url": idp.url, "idp_certificate": other_signer().pem})
    assert_refused(browser.sign_in_by_post(saml_sso), "configured certificate")


def test_saml__persistent_id_with_the_address_in_an_attribute__is_linked(
    acme: Api, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    format_ = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    sso = make_sso(acme, CONFIG | {"idp_sso_url": idp.url, "name_id_format": format_})
    idp.name_id, idp.name_id_format, idp.attributes = "00u1x", format_, {"mail": "Ada@Example.com"}
    code_of(browser.sign_in_by_post(sso))
    idp.attributes = {}
    code_of(browser.sign_in_by_post(sso))


# --- what is signed ------------------------------------------------------------------------------


def test_saml__unsigned__is_refused(saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    idp.signs = ()
    assert_refused(browser.sign_in_by_post(saml_sso), "not signed")


def test_saml__signed_by_somebody_else__is_refused(saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    idp.signer = other_signer()
    assert_refused(browser.sign_in_by_post(saml_sso), "configured certificate")


def test_saml__certificate_expired__is_refused(acme: Api, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    idp.signer = new_certificate(days=0)
    sso = make_sso(acme, CONFIG | {"idp_sso_url": idp.url, "idp_certificate": idp.signer.pem})
    assert_refused(browser.sign_in_by_post(sso), "valid now")


@pytest.mark.parametrize("signs", [("assertion",), ("response",), ("assertion", "response")])
@pytest.mark.parametrize("path", [".//saml:NameID", ".//saml:Audience", ".//saml:AttributeValue"])
def test_saml__changed_after_signing__is_refused(
    path: str, signs: tuple[str, ...], saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.signs = signs
    idp.after = lambda root: setattr(at(root, path), "text", "ada@example.com ")
    assert_refused(browser.sign_in_by_post(saml_sso), "configured certificate")


def test_saml__one_of_two_signatures_broken__is_refused(
    saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.signs = ("assertion", "response")
    idp.after = lambda root: root.set("IssueInstant", instant(1))
    assert_refused(browser.sign_in_by_post(saml_sso), "configured certificate")


def test_saml__signature_cut_out__is_refused(saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    idp.after = lambda root: at(root, "saml:Assertion").remove(at(root, "saml:Assertion/ds:Signature"))
    assert_refused(browser.sign_in_by_post(saml_sso), "not signed")


@pytest.mark.parametrize(
    ("path", "algorithm"),
    [
        (".//ds:SignatureMethod", "http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        (".//ds:SignatureMethod", "http://www.w3.org/2000/09/xmldsig#hmac-sha1"),
        (".//ds:SignatureMethod", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
        (".//ds:SignatureMethod", "none"),
        (".//ds:DigestMethod", "http://www.w3.org/2000/09/xmldsig#sha1"),
        (".//ds:CanonicalizationMethod", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments"),
        (".//ds:CanonicalizationMethod", "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
        (".//ds:Transform", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
        (".//ds:Transform", "http://www.w3.org/TR/1999/REC-xpath-19991116"),
    ],
)
def test_saml__other_algorithm__is_refused(
    path: str, algorithm: str, saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.after = lambda root: at(root, path).set("Algorithm", algorithm)
    assert_refused(browser.sign_in_by_post(saml_sso), "signature")


@pytest.mark.parametrize("uri", ["", "#", "#_other", "https://idp.example/a", "#xpointer(/)"])
def test_saml__signature_for_another_element__is_refused(
    uri: str, saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.after = lambda root: at(root, ".//ds:Reference").set("URI", uri)
    assert_refused(browser.sign_in_by_post(saml_sso), "another element")


# --- replay, state, browser ----------------------------------------------------------------------


def test_saml__response_sent_again__is_lost(saml_sso: Made, ada: Made, browser: Browser) -> None:
    form = browser.form_from(browser.at_provider(saml_sso))
    code_of(browser.post(form))
    assert_lost(browser.post(form))


def test_saml__response_in_another_sign_in__is_refused(saml_sso: Made, ada: Made, browser: Browser) -> None:
    old = browser.form_from(browser.at_provider(saml_sso))
    fresh = browser.form_from(browser.at_provider(saml_sso))
    assert_refused(browser.post(fresh | {"SAMLResponse": old["SAMLResponse"]}), "in answer")


def test_saml__assertion_id_used_before__is_refused(saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser) -> None:
    idp.before = lambda root: at(root, "saml:Assertion").set("ID", "_always-the-same")
    code_of(browser.sign_in_by_post(saml_sso))
    assert_refused(browser.sign_in_by_post(saml_sso), "used before")


def test_saml__of_another_browser__is_lost(saml_sso: Made, ada: Made, browser: Browser) -> None:
    form = browser.form_from(browser.at_provider(saml_sso))
    assert_lost(Browser().post(form))
    code_of(browser.post(form))


def test_saml__response_for_another_configuration__is_refused(
    globex: Api, saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    theirs = make_sso(globex, CONFIG | {"idp_sso_url": idp.url})
    ours = browser.form_from(browser.at_provider(saml_sso))
    form = browser.form_from(browser.at_provider(theirs))
    assert_refused(browser.post(form | {"SAMLResponse": ours["SAMLResponse"]}), "in answer")


@pytest.mark.parametrize("response", ["", "!", "AAAA", base64.b64encode(b"<a/>").decode(), "é", "A" * 65_000])
def test_acs__no_response_at_all__is_refused(response: str, saml_sso: Made, browser: Browser) -> None:
    state = query_of(browser.at_provider(saml_sso))["RelayState"]
    answer = browser.post({"SAMLResponse": response, "RelayState": state})
    if response:
        assert_refused(answer, "response")
    else:
        assert_problem(answer, 400, at="/SAMLResponse")


@pytest.mark.parametrize(
    "body", [b"", b"x", b"SAMLResponse=a", b"RelayState=a&RelayState=b&SAMLResponse=c", b"%ff=%ff", b"\xff", b"&" * 999]
)
def test_acs__malformed_form__is_400(body: bytes, browser: Browser, open_loopback: None, db: None) -> None:
    answer = browser.client.post("/v1/auth/saml/acs", body, content_type="application/x-www-form-urlencoded")
    assert_problem(answer, 400)


def test_acs__other_media_type__is_415(browser: Browser, open_loopback: None, db: None) -> None:
    answer = browser.client.post("/v1/auth/saml/acs", b"{}", content_type="application/json")
    assert_problem(answer, 415)
    assert_problem(browser.get("/v1/auth/saml/acs"), 405)
