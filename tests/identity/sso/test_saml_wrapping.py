"""Signature wrapping and hostile XML: a genuine signature with something else beside, around or inside it."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from identity.sso.identities import SignInRefusedError
from identity.sso.signatures import signed_assertion
from identity.sso.xml import read_document
from tests.identity.sso.browser import Browser, assert_refused, code_of
from tests.identity.sso.keys import idp_signer
from tests.identity.sso.saml_idp import DS, SAML, SAMLP, Element, SamlIdp, at

Made = dict[str, Any]
SIGNATURE = f"{{{DS}}}Signature"


def evil_of(assertion: Element, id_: str | None = "_evil") -> Element:
    """A copy without its signature that says somebody else's name."""
    evil = unsigned(assertion)
    at(evil, ".//saml:NameID").text = "root@example.com"
    if id_ is not None:
        evil.set("ID", id_)
    return evil


def unsigned(element: Element) -> Element:
    copied = copy.deepcopy(element)
    for signature in copied.findall(SIGNATURE):
        copied.remove(signature)
    return copied


def taken_out(element: Element) -> Element:
    """The signature of an element, taken out of it."""
    signature = at(element, "ds:Signature")
    element.remove(signature)
    return signature


def rename_evil(root: Element) -> None:
    root.set("ID", "_evil")
    at(root, "saml:Assertion/saml:Subject/saml:NameID").text = "root@example.com"


def xsw1(root: Element) -> None:
    """The genuine response inside the signature of a forged one."""
    genuine = unsigned(root)
    at(root, "ds:Signature").append(genuine)
    rename_evil(root)


def xsw2(root: Element) -> None:
    """The genuine response beside the signature in a forged one."""
    genuine = unsigned(root)
    signature = taken_out(root)
    root.insert(1, genuine)
    root.insert(2, signature)
    rename_evil(root)


def xsw3(root: Element) -> None:
    """A forged assertion before the genuine one."""
    genuine = at(root, "saml:Assertion")
    root.insert(root.index(genuine), evil_of(genuine))


def xsw4(root: Element) -> None:
    """The genuine assertion inside a forged one."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    root.replace(genuine, evil)
    evil.append(genuine)


def xsw5(root: Element) -> None:
    """A forged assertion with the genuine one's signature, and the genuine one behind."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    evil.insert(1, taken_out(genuine))
    root.replace(genuine, evil)
    root.append(genuine)


def xsw6(root: Element) -> None:
    """A forged assertion with the genuine one's signature, and the genuine one inside that."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    signature = taken_out(genuine)
    root.replace(genuine, evil)
    evil.insert(1, signature)
    signature.append(genuine)


def xsw7(root: Element) -> None:
    """A forged assertion of the same id among extensions."""
    genuine = at(root, "saml:Assertion")
    extensions = etree.Element(f"{{{SAMLP}}}Extensions")
    root.insert(root.index(genuine), extensions)
    extensions.append(evil_of(genuine, None))


def xsw8(root: Element) -> None:
    """A forged assertion with the genuine one's signature, and the genuine one in an object of that."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine, None)
    signature = taken_out(genuine)
    root.replace(genuine, evil)
    evil.insert(1, signature)
    etree.SubElement(signature, f"{{{DS}}}Object").append(genuine)


def xsw9(root: Element) -> None:
    """The genuine assertion hidden under another name that has its id."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    signature = taken_out(genuine)
    root.replace(genuine, evil)
    evil.insert(1, signature)
    hidden = etree.SubElement(root, "hidden")
    hidden.append(genuine)
    genuine.tag = "hidden"


def xsw10(root: Element) -> None:
    """A forged assertion that claims the genuine one's id in an attribute of another name."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    evil.set("{urn:x}ID", str(genuine.get("ID")))
    evil.insert(1, taken_out(genuine))
    root.replace(genuine, evil)


def xsw11(root: Element) -> None:
    """The signature for the forged assertion's own id, whose digest is the genuine one's."""
    genuine = at(root, "saml:Assertion")
    evil = evil_of(genuine)
    signature = taken_out(genuine)
    at(signature, ".//ds:Reference").set("URI", "#_evil")
    evil.insert(1, signature)
    root.replace(genuine, evil)


def xsw12(root: Element) -> None:
    """Two references: one to the genuine assertion, one to the forged."""
    genuine = at(root, "saml:Assertion")
    reference = at(genuine, ".//ds:Reference")
    info = reference.getparent()
    assert info is not None
    info.append(copy.deepcopy(reference))


ON_RESPONSE: list[Callable[[Element], None]] = [xsw1, xsw2]
ON_ASSERTION: list[Callable[[Element], None]] = [
    xsw3, xsw4, xsw5, xsw6, xsw7, xsw8, xsw9, xsw10, xsw11, xsw12,
]  # fmt: skip


@pytest.mark.parametrize("wrap", ON_RESPONSE)
@pytest.mark.parametrize("signs", [("response",), ("assertion", "response")])
def test_wrapping__of_a_signed_response__is_refused(
    wrap: Callable[[Element], None], signs: tuple[str, ...], saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.signs, idp.after = signs, wrap
    assert_refused(browser.sign_in_by_post(saml_sso), "response of the identity provider is not accepted")


@pytest.mark.parametrize("wrap", ON_ASSERTION)
@pytest.mark.parametrize("signs", [("assertion",), ("assertion", "response")])
def test_wrapping__of_a_signed_assertion__is_refused(
    wrap: Callable[[Element], None], signs: tuple[str, ...], saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.signs, idp.after = signs, wrap
    assert_refused(browser.sign_in_by_post(saml_sso), "response of the identity provider is not accepted")


@pytest.mark.parametrize("wrap", [*ON_RESPONSE, *ON_ASSERTION])
def test_wrapping__every_one__leaves_the_genuine_signature_in_the_document(
    wrap: Callable[[Element], None], saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    """What is refused is a real attack: the document still has the signature that was taken as it was."""
    idp.signs = ("response",) if wrap in ON_RESPONSE else ("assertion",)
    genuine = browser.form_from(browser.at_provider(saml_sso))
    raw = base64.b64decode(genuine["SAMLResponse"])
    assert signed_assertion(read_document(raw), [idp_signer().certificate]).get("ID")
    root = etree.fromstring(raw)
    wrap(root)
    assert any(root.iter(SIGNATURE))
    with pytest.raises(SignInRefusedError):
        signed_assertion(read_document(etree.tostring(root)), [idp_signer().certificate])
    code_of(browser.post(genuine))


def test_signed_assertion__signed__is_read_from_the_signed_bytes(
    saml_sso: Made, idp: SamlIdp, browser: Browser
) -> None:
    """Text outside of the signature cannot come in: what is returned is another document."""
    form = browser.form_from(browser.at_provider(saml_sso))
    root = read_document(base64.b64decode(form["SAMLResponse"]))
    found = signed_assertion(root, [idp_signer().certificate])
    assert found.tag == f"{{{SAML}}}Assertion"
    assert found.getroottree().getroot() is found
    assert found.find(SIGNATURE) is None


def raw_change(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(before, after, 1)


def billion_laughs(raw: bytes) -> bytes:
    entities = b'<!ENTITY a "ha">' + b"".join(
        b'<!ENTITY %c "%s">' % (ord("a") + i, b"&%c;" % (ord("a") + i - 1) * 10) for i in range(1, 10)
    )
    return b"<!DOCTYPE r [" + entities + b"]>" + raw.replace(b"ada@example.com", b"&j;", 1)


MANY = b"".join(b' xmlns:a%d="u"' % i for i in range(99))
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "comment in the name id": (raw_change(b"ada@example.com<", b"ada@example.com<!---->.evil.example<"), "comments"),
    "comment": (raw_change(b"<saml:Subject>", b"<!-- --><saml:Subject>"), "comments"),
    "comment before the root": (lambda raw: b"<!-- -->" + raw, "comments"),
    "comment behind the root": (lambda raw: raw + b"<!-- -->", "comments"),
    "instruction": (raw_change(b"<saml:Subject>", b"<?x y?><saml:Subject>"), "comments"),
    "stylesheet": (lambda raw: b'<?xml-stylesheet href="x"?>' + raw, "comments"),
    "document type": (lambda raw: b"<!DOCTYPE r>" + raw, "document type"),
    "entities": (billion_laughs, "document type"),
    "external entity": (
        lambda raw: b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + raw.replace(b"ada@", b"&x;@", 1),
        "document type",
    ),
    "entity of nobody": (raw_change(b"ada@", b"&x;@"), "no XML"),
    "utf-16": (lambda raw: raw.decode().encode("utf-16"), "UTF-8"),
    "utf-7 declared": (lambda raw: b'<?xml version="1.0" encoding="utf-7"?>' + raw, ""),
    "deep": (lambda raw: b"<a>" * 300 + b"</a>" * 300, ""),
    "wide": (lambda raw: b"<a>" + b"<b/>" * 5000 + b"</a>", "too many elements"),
    "many attributes": (raw_change(b"<saml:Subject", b"<saml:Subject" + MANY.replace(b"xmlns:", b"")), "attributes"),
    "many namespaces": (raw_change(b"<saml:Subject", b"<saml:Subject" + MANY), "attributes"),
    "large": (lambda raw: b"<a>" + b" " * 47_000 + b"</a>", "larger"),
    "twice the same id": (raw_change(b"<saml:Subject>", b'<saml:Subject Id="_x" xml:id="_x">'), "same id"),
    "no end": (lambda raw: raw[:-5], "no XML"),
    "nothing": (lambda raw: b"", "no XML"),
    "nul": (lambda raw: raw.replace(b"ada@", b"\x00@"), "no XML"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_response__hostile_xml__is_refused(name: str, saml_sso: Made, idp: SamlIdp, browser: Browser) -> None:
    change, because = HOSTILE[name]
    idp.encode = change
    form = browser.form_from(browser.at_provider(saml_sso)) | ({"SAMLResponse": "Cg=="} if name == "nothing" else {})
    assert_refused(browser.post(form), because)


def test_response__written_with_cdata_and_references__means_the_same(
    saml_sso: Made, ada: Made, idp: SamlIdp, browser: Browser
) -> None:
    idp.encode = raw_change(b">ada@example.com<", b"><![CDATA[ada]]>&#64;example.com<")
    code_of(browser.sign_in_by_post(saml_sso))
