"""Reading XML from strangers: UTF-8, without document types, comments and whatever else may mean two things."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from core.late import LateModule
from identity.sso.identities import SignInRefusedError

if TYPE_CHECKING:
    from lxml import etree
else:
    etree = LateModule("lxml.etree")  # 6 MiB with what verifies signatures, for who signs in by SAML

Element: TypeAlias = "etree._Element"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
MOST_BYTES, MOST_ELEMENTS, DEEPEST = 45 * 1024, 1_000, 30
MOST_NAMESPACES, MOST_ATTRIBUTES = 30, 30  # of one element: canonical form takes the square of them


def refused(reason: str) -> SignInRefusedError:
    return SignInRefusedError(f"the response of the identity provider is not accepted: {reason}")


def read_document(raw: bytes) -> Element:
    """The root of a document in which every element and id can be meant in one way only."""
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise refused("it is not UTF-8") from error
    if len(raw) > MOST_BYTES:
        raise refused(f"it is larger than {MOST_BYTES} bytes")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise refused("it declares a document type")
    parser = etree.XMLParser(encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise refused("it is no XML") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise refused("it declares a document type")
    _refuse_ambiguous(root)
    return root


def _refuse_ambiguous(root: Element) -> None:
    """Comments cut texts in two, and an id that is there twice may stand for the signed element or the other one."""
    if root.getprevious() is not None or root.getnext() is not None:
        raise refused("it holds comments or instructions")
    seen: set[str] = set()
    open_elements: list[tuple[Element, int]] = [(root, 1)]
    count = 0
    while open_elements:
        element, depth = open_elements.pop()
        count += 1
        if not isinstance(element.tag, str):
            raise refused("it holds comments or instructions")
        if count > MOST_ELEMENTS or depth > DEEPEST:
            raise refused("it has too many elements")
        if len(element.nsmap) > MOST_NAMESPACES or len(element.attrib) > MOST_ATTRIBUTES:
            raise refused("one of its elements has too many attributes")
        for name, value in element.attrib.items():
            if etree.QName(name).localname.lower() == "id":
                if str(value) in seen:
                    raise refused("two of its elements have the same id")
                seen.add(str(value))
        open_elements += [(child, depth + 1) for child in element]


def children(element: Element, namespace: str, name: str) -> list[Element]:
    """The direct children of this name."""
    return element.findall(f"{{{namespace}}}{name}")


def only(element: Element, namespace: str, name: str) -> Element:
    """The one child of this name."""
    found = children(element, namespace, name)
    if len(found) != 1:
        raise refused(f"it must have exactly one {name}, and has {len(found)}")
    return found[0]


def text_of(element: Element) -> str:
    """The text of an element that has nothing else in it."""
    if len(element):
        raise refused(f"its {etree.QName(element).localname} holds more than text")
    return (element.text or "").strip()
