"""XML signatures of SAML: the assertion as it was signed, and nothing that merely stands near a signature."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from cryptography import x509
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.verifier import SignatureConfiguration, XMLVerifier

from identity.sso.xml import DS, SAML, SAMLP, Element, children, only, read_document, refused

logging.getLogger("signxml").setLevel(logging.INFO)  # at DEBUG it prints assertions

EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0.value
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
    }
)
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})


def signed_assertion(response: Element, certificates: Sequence[x509.Certificate]) -> Element:
    """The response's one assertion, read anew from the bytes that a signature covers."""
    assertion = _find_assertion(response)
    places = {response: "./", assertion: f"./{{{SAML}}}Assertion/"}
    signatures = list(response.iter(f"{{{DS}}}Signature"))
    owners = [signature.getparent() for signature in signatures]
    if not signatures:
        raise refused("it is not signed")
    if any(owner not in places for owner in owners) or len(set(owners)) < len(owners):
        raise refused("it has a signature where none belongs")
    signed: dict[Element, Element] = {}
    for signature in signatures:
        owner = signature.getparent()
        assert owner is not None
        _refuse_unusual(signature, owner)
        signed[owner] = _verify(response, places[owner], certificates)
    found = signed[assertion] if assertion in signed else _find_assertion(signed[response])
    if found.tag != assertion.tag or found.get("ID") != assertion.get("ID"):
        raise refused("what is signed is not its assertion")
    return found


def _find_assertion(response: Element) -> Element:
    if response.tag != f"{{{SAMLP}}}Response":
        raise refused("it is no SAML 2.0 response")
    if next(response.iter(f"{{{SAML}}}EncryptedAssertion"), None) is not None:
        raise refused("its assertion is encrypted, which this service does not ask for")
    everywhere = list(response.iter(f"{{{SAML}}}Assertion"))
    if len(everywhere) != 1 or everywhere[0].getparent() is not response:
        raise refused(f"it must hold exactly one assertion, and holds {len(everywhere)}")
    return everywhere[0]


def _refuse_unusual(signature: Element, owner: Element) -> None:
    """A signature covers the element that it is in, the whole of it, and is made in the way that all providers use."""
    info = only(signature, DS, "SignedInfo")
    reference = only(info, DS, "Reference")
    transforms = [each.get("Algorithm") for each in only(reference, DS, "Transforms")]
    usual = (
        not children(signature, DS, "Object")
        and only(info, DS, "CanonicalizationMethod").get("Algorithm") == EXCLUSIVE
        and transforms == [ENVELOPED, EXCLUSIVE]
    )
    if not usual:
        raise refused("its signature is made in a way that is not taken")
    if not owner.get("ID") or reference.get("URI") != f"#{owner.get('ID')}":
        raise refused("its signature is for another element than the one it is in")


def _verify(response: Element, place: str, certificates: Sequence[x509.Certificate]) -> Element:
    """What the signature at a place covers, if it was made with one of the configured certificates' keys."""
    config = SignatureConfiguration(location=place, signature_methods=METHODS, digest_algorithms=DIGESTS)
    for certificate in certificates:
        try:
            result = XMLVerifier().verify(response, x509_cert=certificate, id_attribute="ID", expect_config=config)
        except Exception:  # noqa: BLE001, S112 - whatever the library stumbles over, this certificate proves nothing
            continue
        assert not isinstance(result, list)
        return read_document(result.signed_data)
    raise refused("its signature is not by a configured certificate that is valid now")
