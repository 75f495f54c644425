"""What a signed assertion says, and whether it says it to this service, now, and in answer to its request."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

from identity.sso.identities import SKEW, Identity, clean_email, clean_fullname
from identity.sso.xml import SAML, Element, children, only, refused, text_of

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
ENTITY_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PERSISTENT_FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
UNSPECIFIED_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
NAME_ID_FORMATS = (EMAIL_FORMAT, PERSISTENT_FORMAT, UNSPECIFIED_FORMAT)
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
EMAIL_NAMES = (
    "email",
    "mail",
    "emailAddress",
    "urn:oid:0.9.2342.19200300.100.1.3",
    f"{_CLAIMS}emailaddress",
)
FULLNAME_NAMES = (
    "displayName",
    "name",
    "cn",
    "urn:oid:2.16.840.1.113730.3.1.241",
    "http://schemas.microsoft.com/identity/claims/displayname",
)
_CONDITIONS = {f"{{{SAML}}}{name}" for name in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)?\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What an assertion must agree with."""

    idp_entity_id: str
    sp_entity_id: str
    acs_url: str
    request_id: str
    name_id_format: str
    now: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Asserted:
    """An assertion that holds: whom it is about, its id, and until when it could be sent again."""

    identity: Identity
    assertion_id: str
    good_until: dt.datetime


def read_assertion(assertion: Element, expected: Expected) -> Asserted:
    """What a signed assertion says; raises when it is not for this service, this moment and this request."""
    if assertion.get("Version") != "2.0":
        raise refused("its assertion is not of SAML 2.0")
    refuse_other_issuer(only(assertion, SAML, "Issuer"), expected)
    _refuse_conditions(only(assertion, SAML, "Conditions"), expected)
    subject = only(assertion, SAML, "Subject")
    good_until = _confirmed_until(subject, expected)
    _refuse_no_sign_in(assertion, expected)
    name_id = only(subject, SAML, "NameID")
    attributes = _attributes(assertion)
    value, format_ = text_of(name_id), name_id.get("Format") or UNSPECIFIED_FORMAT
    if format_ != expected.name_id_format:
        raise refused(f"its NameID is of the format {format_[:100]!r}, not the configured one")
    if not 0 < len(value) <= 255:
        raise refused("its NameID is empty or too long")
    is_email = format_ == EMAIL_FORMAT
    identity = Identity(
        issuer=expected.idp_entity_id,
        subject=value,
        email=clean_email(value if is_email else _first(attributes, EMAIL_NAMES)),
        fullname=clean_fullname(_first(attributes, FULLNAME_NAMES))
        or clean_fullname(
            _first(attributes, ("givenName", f"{_CLAIMS}givenname")),
            _first(attributes, ("sn", "surname", f"{_CLAIMS}surname")),
        ),
    )
    return Asserted(identity, assertion.get("ID") or "", good_until)


def refuse_other_issuer(issuer: Element, expected: Expected) -> None:
    """Raises when an Issuer names another identity provider."""
    if issuer.get("Format", ENTITY_FORMAT) != ENTITY_FORMAT or text_of(issuer) != expected.idp_entity_id:
        raise refused("it is of another issuer than the configured one")


def _instant(element: Element, name: str) -> dt.datetime | None:
    """The time in an attribute; None without it. A time without a zone is in UTC, as SAML has it."""
    text = element.get(name)
    if text is None:
        return None
    if _INSTANT.match(text) is None:
        raise refused(f"its {name} is no time")
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise refused(f"its {name} is no time") from error
    return (value if value.tzinfo else value.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)


def _is_over(end: dt.datetime | None, now: dt.datetime) -> bool:
    return end is not None and end <= now - dt.timedelta(seconds=SKEW)


def _is_to_come(start: dt.datetime | None, now: dt.datetime) -> bool:
    return start is not None and start > now + dt.timedelta(seconds=SKEW)


def _refuse_conditions(conditions: Element, expected: Expected) -> None:
    if _is_over(_instant(conditions, "NotOnOrAfter"), expected.now):
        raise refused("its assertion has expired")
    if _is_to_come(_instant(conditions, "NotBefore"), expected.now):
        raise refused("its assertion is not valid yet")
    if any(each.tag not in _CONDITIONS for each in conditions):
        raise refused("its assertion has a condition that this service does not know")
    restrictions = children(conditions, SAML, "AudienceRestriction")
    for restriction in restrictions:
        if expected.sp_entity_id not in [text_of(each) for each in children(restriction, SAML, "Audience")]:
            raise refused("its assertion is for another audience")
    if not restrictions:
        raise refused("its assertion names no audience")


def _confirmed_until(subject: Element, expected: Expected) -> dt.datetime:
    """When the bearer confirmation ends that is for this service and in answer to its request."""
    reasons = ["has no bearer confirmation"]
    for confirmation in children(subject, SAML, "SubjectConfirmation"):
        if confirmation.get("Method") != BEARER:
            continue
        data = only(confirmation, SAML, "SubjectConfirmationData")
        end = _instant(data, "NotOnOrAfter")
        if data.get("Recipient") != expected.acs_url:
            reasons.append("is for another recipient")
        elif data.get("InResponseTo") != expected.request_id:
            reasons.append("is not in answer to the request of this sign-in")
        elif end is None or _is_over(end, expected.now):
            reasons.append("has expired")
        elif _is_to_come(_instant(data, "NotBefore"), expected.now):
            reasons.append("is not valid yet")
        else:
            return end
    raise refused(f"its assertion {reasons[-1]}")


def _refuse_no_sign_in(assertion: Element, expected: Expected) -> None:
    statements = children(assertion, SAML, "AuthnStatement")
    if not statements:
        raise refused("its assertion does not say that anybody signed in")
    if any(_is_over(_instant(each, "SessionNotOnOrAfter"), expected.now) for each in statements):
        raise refused("the session at the identity provider is over")


def _attributes(assertion: Element) -> dict[str, str]:
    """Attributes of one text each, by name."""
    found: dict[str, str] = {}
    for statement in children(assertion, SAML, "AttributeStatement"):
        for attribute in children(statement, SAML, "Attribute"):
            values = children(attribute, SAML, "AttributeValue")
            if len(values) == 1 and not len(values[0]):
                for name in (attribute.get("Name"), attribute.get("FriendlyName")):
                    found.setdefault(str(name), text_of(values[0]))
    return found


def _first(attributes: dict[str, str], names: tuple[str, ...]) -> str | None:
    return next((attributes[name] for name in names if attributes.get(name)), None)
