"""Assertions that are signed as they should be, and say something wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from tests.identity.sso.browser import Browser, assert_refused, code_of
from tests.identity.sso.saml_idp import SAML, SAMLP, Element, SamlIdp, at, instant

Made = dict[str, Any]
Bend = Callable[[Element], Any]
DATA, CONDITIONS = ".//saml:SubjectConfirmationData", ".//saml:Conditions"


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
