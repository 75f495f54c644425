"""Signing in by SAML, and every way in which a response may be wrong."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import minisaml.response
import pytest
from lxml import etree

from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import Browser, assert_lost, assert_refused, code_of, query_of
from tests.identity.sso.configs import SAML as CONFIG
from tests.identity.sso.configs import make_sso, put_sso
from tests.identity.sso.keys import idp_signer, new_certificate, other_signer
from tests.identity.sso.saml_idp import SAML, SAMLP, Element, SamlIdp, at, instant

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


# --- what it says --------------------------------------------------------------------------------


def change(path: str, **attributes: str | int | None) -> Bend:
    """Sets attributes of an element; a number is a time so many seconds from now, None takes one away."""

    def apply(root: Element) -> None:
        element = at(root, path) if path else root
        for name, value in attributes.items():
            if value is None:
                element.attrib.pop(name)
            else:
                element.set(name, instant(value) if isinstance(value, int) else value)

    return apply


def text(path: str, value: str) -> Bend:
    return lambda root: setattr(at(root, path), "text", value)


def drop(path: str) -> Bend:
    def apply(root: Element) -> None:
        element = at(root, path)
        parent = element.getparent()
        assert parent is not None
        parent.remove(element)

    return apply


def add(path: str, namespace: str, tag: str) -> Bend:
    return lambda root: etree.SubElement(at(root, path), f"{{{namespace}}}{tag}")


WRONG: list[tuple[str, Bend, str]] = [
    ("audience", text(".//saml:Audience", "https://other.example"), "audience"),
    ("no audience", drop(".//saml:AudienceRestriction"), "audience"),
    ("empty audience", drop(".//saml:Audience"), "audience"),
    ("a second restriction", add(CONDITIONS, SAML, "AudienceRestriction"), "audience"),
    ("destination", change("", Destination="https://other.example"), "destination"),
    ("no destination", change("", Destination=None), "destination"),
    ("in response to", change("", InResponseTo="_other"), "in answer"),
    ("unsolicited", change("", InResponseTo=None), "in answer"),
    ("recipient", change(DATA, Recipient="https://other.example"), "recipient"),
    ("no recipient", change(DATA, Recipient=None), "recipient"),
    ("subject in response to", change(DATA, InResponseTo="_other"), "in answer"),
    ("subject unsolicited", change(DATA, InResponseTo=None), "in answer"),
    ("subject expired", change(DATA, NotOnOrAfter=-70), "expired"),
    ("subject without end", change(DATA, NotOnOrAfter=None), "expired"),
    ("subject to come", change(DATA, NotBefore=120), "not valid yet"),
    ("expired", change(CONDITIONS, NotOnOrAfter=-70), "expired"),
    ("to come", change(CONDITIONS, NotBefore=120), "not valid yet"),
    ("no time", change(CONDITIONS, NotBefore="soon"), "no time"),
    ("month 13", change(CONDITIONS, NotBefore="2026-13-01T00:00:00Z"), "no time"),
    ("no conditions", drop(CONDITIONS), "Conditions"),
    ("unknown condition", add(CONDITIONS, "urn:x", "OnlyOnSundays"), "condition"),
    ("issuer", text("saml:Assertion/saml:Issuer", "https://other.example"), "issuer"),
    ("no issuer", drop("saml:Assertion/saml:Issuer"), "Issuer"),
    ("issuer of the response", text("saml:Issuer", "https://other.example"), "issuer"),
    ("status", change(".//samlp:StatusCode", Value="urn:x:status:AuthnFailed"), "AuthnFailed"),
    ("no status", drop("samlp:Status"), "Status"),
    ("version", change("", Version="1.1"), "SAML 2.0"),
    ("version of the assertion", change("saml:Assertion", Version="1.1"), "SAML 2.0"),
    ("holder of key", change(".//saml:SubjectConfirmation", Method="urn:x:holder-of-key"), "bearer"),
    ("no confirmation", drop(".//saml:SubjectConfirmation"), "bearer"),
    ("no data", drop(DATA), "SubjectConfirmationData"),
    ("nobody signed in", drop(".//saml:AuthnStatement"), "anybody"),
    ("session over", change(".//saml:AuthnStatement", SessionNotOnOrAfter=-70), "session"),
    ("no subject", drop(".//saml:Subject"), "Subject"),
    ("no name id", drop(".//saml:NameID"), "NameID"),
    ("two name ids", add(".//saml:Subject", SAML, "NameID"), "NameID"),
    ("empty name id", text(".//saml:NameID", " "), "NameID"),
    ("long name id", text(".//saml:NameID", "x" * 256), "NameID"),
    ("elements in the name id", add(".//saml:NameID", SAML, "b"), "NameID"),
    ("format", change(".//saml:NameID", Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient"), "format"),
    ("no format", change(".//saml:NameID", Format=None), "format"),
    ("no id", change("saml:Assertion", ID="_r0"), ""),
    ("encrypted", add(".", SAML, "EncryptedAssertion"), "encrypted"),
    ("two assertions", add(".", SAML, "Assertion"), "exactly one assertion"),
    ("an assertion inside", add(".//saml:Subject", SAML, "Assertion"), "exactly one assertion"),
    ("no response", lambda root: setattr(root, "tag", f"{{{SAMLP}}}LogoutResponse"), "no SAML 2.0 response"),
]  # fmt: skip


@pytest.mark.parametrize(("bend", "because"), [each[1:] for each in WRONG], ids=[each[0] for each in WRONG])
def test_saml__said_wrongly_by_the_provider_itself__is_refused(
    bend: Bend, because: str, saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.before = bend
    assert_refused(browser.sign_in_by_post(saml_sso), because)


@pytest.mark.parametrize(
    "bend",
    [
        change(CONDITIONS, NotOnOrAfter=-50),
        change(DATA, NotOnOrAfter=-50),
        change(CONDITIONS, NotBefore=50),
        change(CONDITIONS, NotBefore="2020-01-01T00:00:00.1234567Z"),
        change(CONDITIONS, NotBefore="2020-01-01T00:00:00"),
        change(CONDITIONS, NotBefore=None, NotOnOrAfter=None),
        add(CONDITIONS, SAML, "OneTimeUse"),
    ],
)
def test_saml__within_what_is_allowed__is_taken(
    bend: Bend, saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.before = bend
    code_of(browser.sign_in_by_post(saml_sso))


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
    idp.before = change("saml:Assertion", ID="_always-the-same")
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
