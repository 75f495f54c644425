"""Signing in by SAML 2.0: the Web Browser SSO profile, asked by HTTP-Redirect and answered by HTTP-POST."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from core.late import LateModule
from identity.sso.assertions import (
    NAME_ID_FORMATS,
    UNSPECIFIED_FORMAT,
    Asserted,
    Expected,
    read_assertion,
    refuse_other_issuer,
)
from identity.sso.identities import SignInRefusedError
from identity.sso.xml import (
    METADATA,
    MOST_BYTES,
    SAML,
    SAMLP,
    Element,
    children,
    only,
    read_document,
    refused,
)

if TYPE_CHECKING:
    from cryptography import x509
    from lxml import etree

    from identity.sso import signatures
else:
    etree = LateModule("lxml.etree")
    signatures = LateModule("identity.sso.signatures")  # and with it signxml

SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"


@dataclasses.dataclass(frozen=True, slots=True)
class SamlParties:
    """An identity provider, and this service as it is known there."""

    idp_entity_id: str
    idp_sso_url: str
    certificates: Sequence[x509.Certificate]
    sp_entity_id: str
    acs_url: str
    name_id_format: str


def request_url(*, parties: SamlParties, request_id: str, state: str, now: dt.datetime) -> str:
    """Where the browser goes to sign in, with the request."""
    request = etree.Element(f"{{{SAMLP}}}AuthnRequest", nsmap={"samlp": SAMLP, "saml": SAML})
    for name, value in {
        "ID": request_id,
        "Version": "2.0",
        "IssueInstant": now.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Destination": parties.idp_sso_url,
        "AssertionConsumerServiceURL": parties.acs_url,
        "ProtocolBinding": POST,
    }.items():
        request.set(name, value)
    etree.SubElement(request, f"{{{SAML}}}Issuer").text = parties.sp_entity_id
    policy = etree.SubElement(request, f"{{{SAMLP}}}NameIDPolicy", AllowCreate="true")
    if parties.name_id_format != UNSPECIFIED_FORMAT:
        policy.set("Format", parties.name_id_format)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(etree.tostring(request)) + packer.flush()
    query = urlencode({"SAMLRequest": base64.b64encode(packed).decode(), "RelayState": state})
    return f"{parties.idp_sso_url}{'&' if '?' in parties.idp_sso_url else '?'}{query}"


def identify(*, parties: SamlParties, response: str, request_id: str, now: dt.datetime) -> Asserted:
    """Who the provider says has signed in; raises when it does not say so beyond doubt."""
    root = read_document(_decode(response))
    if root.tag != f"{{{SAMLP}}}Response":
        raise refused("it is no SAML 2.0 response")
    expected = Expected(
        idp_entity_id=parties.idp_entity_id,
        sp_entity_id=parties.sp_entity_id,
        acs_url=parties.acs_url,
        request_id=request_id,
        name_id_format=parties.name_id_format,
        now=now,
    )
    _refuse_envelope(root, expected)
    return read_assertion(signatures.signed_assertion(root, parties.certificates), expected)


def _decode(response: str) -> bytes:
    if len(response) > MOST_BYTES * 3 // 2:
        raise refused(f"it is larger than {MOST_BYTES} bytes")
    try:
        return base64.b64decode("".join(response.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise refused("it is no base64") from error


def _refuse_envelope(root: Element, expected: Expected) -> None:
    """What the response says around its assertion: less than the assertion, but it must not contradict."""
    code = only(only(root, SAMLP, "Status"), SAMLP, "StatusCode")
    if code.get("Value") != SUCCESS:
        words = [each.get("Value") or "" for each in (code, *children(code, SAMLP, "StatusCode"))]
        shown = ", ".join(word.rpartition(":")[2][:60] for word in words if word.isprintable())
        raise SignInRefusedError(f"the identity provider did not sign you in: it answered {shown!r}")
    if root.get("Version") != "2.0":
        raise refused("it is not of SAML 2.0")
    if root.get("Destination") != expected.acs_url:
        raise refused("it is for another destination")
    if root.get("InResponseTo") != expected.request_id:
        raise refused("it is not in answer to the request of this sign-in")
    for issuer in children(root, SAML, "Issuer"):
        refuse_other_issuer(issuer, expected)


def metadata(*, sp_entity_id: str, acs_url: str) -> bytes:
    """This service's own metadata, to be given to an identity provider."""
    root = etree.Element(f"{{{METADATA}}}EntityDescriptor", nsmap={"md": METADATA}, entityID=sp_entity_id)
    descriptor = etree.SubElement(
        root,
        f"{{{METADATA}}}SPSSODescriptor",
        AuthnRequestsSigned="false",
        WantAssertionsSigned="true",
        protocolSupportEnumeration=SAMLP,
    )
    for each in NAME_ID_FORMATS:
        etree.SubElement(descriptor, f"{{{METADATA}}}NameIDFormat").text = each
    etree.SubElement(
        descriptor,
        f"{{{METADATA}}}AssertionConsumerService",
        Binding=POST,
        Location=acs_url,
        index="0",
        isDefault="true",
    )
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")
