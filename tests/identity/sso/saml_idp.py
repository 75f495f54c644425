"""A SAML identity provider on loopback: honest unless a test bends it. It signs with another library than we verify."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import html
import http.server
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import minisignxml.sign
from lxml import etree

from tests.identity.sso.keys import Signer, idp_signer

Element = etree._Element
SAML, SAMLP = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol"
DS = "http://www.w3.org/2000/09/xmldsig#"
NAMES = {"saml": SAML, "samlp": SAMLP, "ds": DS}
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
TEMPLATE = """
<samlp:Response xmlns:samlp="{samlp}" xmlns:saml="{saml}" ID="_r{id}" Version="2.0" IssueInstant="{now}"
 Destination="{acs}" InResponseTo="{request}"><saml:Issuer>{issuer}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
<saml:Assertion ID="_a{id}" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer>
<saml:Subject><saml:NameID Format="{format}">{name_id}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData
 NotOnOrAfter="{end}" Recipient="{acs}" InResponseTo="{request}"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}"><saml:AudienceRestriction>
<saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{now}"><saml:AuthnContext><saml:AuthnContextClassRef>\
urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>
<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion></samlp:Response>
"""
ATTRIBUTE = '<saml:Attribute Name="{}"><saml:AttributeValue>{}</saml:AttributeValue></saml:Attribute>'
PAGE = """<!doctype html><title>Identity provider</title><form method="post" action="{}">
<input type="hidden" name="SAMLResponse" value="{}"><input type="hidden" name="RelayState" value="{}">
<button>Continue</button></form><script>document.forms[0].submit()</script>"""


def instant(seconds: float = 0) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(root: Element, path: str) -> Element:
    """The first element of a path such as `.//saml:NameID`."""
    found = root.find(path, NAMES)
    assert found is not None, path
    return found


def sign(root: Element, element: Element, signer: Signer, place: int = 1) -> Element:
    """The document with a signature in one of its elements, behind the issuer."""
    signed = minisignxml.sign.sign(element=element, private_key=signer.key, certificate=signer.certificate, index=place)
    return etree.fromstring(signed)


@dataclasses.dataclass
class SamlIdp:
    """The state of an identity provider, and how it is bent."""

    url: str
    entity_id: str = "https://idp.example/entity"
    signer: Signer = dataclasses.field(default_factory=idp_signer)
    name_id: str = "ada@example.com"
    name_id_format: str = EMAIL
    attributes: dict[str, str] = dataclasses.field(default_factory=lambda: {"displayName": "Ada Lovelace"})
    signs: tuple[str, ...] = ("assertion",)  # of assertion and response, in this order
    before: Callable[[Element], Any] | None = None  # changes the response before it is signed
    after: Callable[[Element], Any] | None = None  # and after
    encode: Callable[[bytes], bytes] | None = None  # and as bytes
    requests: list[Element] = dataclasses.field(default_factory=list)

    def respond(self, query: dict[str, str]) -> bytes:
        """The response to a request by the HTTP-Redirect binding."""
        request = etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"]), -15))
        self.requests.append(request)
        root = self.response_to(request)
        if self.before is not None:
            self.before(root)
        if "assertion" in self.signs:
            root = sign(root, at(root, "saml:Assertion"), self.signer)
        if "response" in self.signs:
            root = sign(root, root, self.signer)
        if self.after is not None:
            self.after(root)
        raw = etree.tostring(root)
        return raw if self.encode is None else self.encode(raw)

    def response_to(self, request: Element) -> Element:
        filled = TEMPLATE.format(
            saml=SAML,
            samlp=SAMLP,
            id=f"{len(self.requests)}{id(request):x}",
            now=instant(),
            start=instant(-5),
            end=instant(120),
            acs=request.get("AssertionConsumerServiceURL"),
            request=request.get("ID"),
            issuer=self.entity_id,
            audience=at(request, "saml:Issuer").text,
            format=self.name_id_format,
            name_id=html.escape(self.name_id),
            attributes="".join(ATTRIBUTE.format(n, html.escape(v)) for n, v in self.attributes.items()),
        )
        return etree.fromstring(filled)


class _Handler(http.server.BaseHTTPRequestHandler):
    idp: SamlIdp

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = dict(parse_qsl(urlsplit(self.path).query))
        response = base64.b64encode(self.idp.respond(query)).decode()
        acs = self.idp.requests[-1].get("AssertionConsumerServiceURL")
        body = PAGE.format(acs, response, html.escape(query["RelayState"])).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def saml_idp() -> Iterator[SamlIdp]:
    """A running identity provider."""
    handler = type("Handler", (_Handler,), {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        idp = SamlIdp(f"http://127.0.0.1:{server.server_address[1]}/sso")
        handler.idp = idp  # type: ignore[attr-defined] # which the class was made for
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield idp
        finally:
            server.shutdown()
            thread.join(timeout=5)
