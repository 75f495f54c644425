"""Whom an identity stands for: the member it is linked to, or may be linked to, or may become."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from core.columns import new_id
from core.errors import DuplicateNameError
from identity.members.models import Member, MemberType
from identity.members.services import MemberSpec, create_member
from identity.sessions.services import refuse_shut_out
from identity.sso.identities import Identity, SignInRefusedError
from identity.sso.models import SAML, SsoConfiguration, SsoLink


def admit(*, sso: SsoConfiguration, identity: Identity) -> Member:
    """The member who signs in. Of two first sign-ins at once, the later one finds what the other has made."""
    try:
        with transaction.atomic():
            return _admit(sso, identity)
    except (IntegrityError, DuplicateNameError):
        return _admit(sso, identity)


def _admit(sso: SsoConfiguration, identity: Identity) -> Member:
    """The member of the provider's subject, else of the verified e-mail address."""
    config = sso.identity_provider
    _refuse_foreign_domain(config, identity)
    known = {"sso": sso, "issuer": identity.issuer, "subject": identity.subject}
    link: SsoLink | None = SsoLink.objects.select_related("member").filter(**known).first()
    member = link.member if link else _find_or_create(config, identity)
    refuse_shut_out(member)
    if link is None:
        SsoLink.in_scope(id=new_id(), member=member, **known).save(force_insert=True)
    return member


def _find_or_create(config: dict[str, Any], identity: Identity) -> Member:
    """The person whose address the identity has; a new one, with the role `member`, where that is configured."""
    provisioning = config.get("provisioning", "link")
    if provisioning == "none":
        raise SignInRefusedError("nobody here is linked to this user of the identity provider, and no link is made")
    email = _verified_email(config, identity)
    member: Member | None = Member.objects.filter(name=email).first()
    if member is not None and member.type != MemberType.PERSONAL:
        raise SignInRefusedError(f"the member {email} is a service, which signs in with a password of its own")
    if member is not None:
        return member
    if provisioning != "create":
        raise SignInRefusedError(f"no member of the organization has the e-mail address {email}")
    return create_member(spec=MemberSpec(name=email, fullname=identity.fullname), by=None)


def _refuse_foreign_domain(config: dict[str, Any], identity: Identity) -> None:
    allowed = config.get("allowed_domains")
    if allowed is None:
        return
    if identity.email is None or identity.email.rpartition("@")[2] not in allowed:
        raise SignInRefusedError("the user's e-mail address is of no domain that may sign in")


def _verified_email(config: dict[str, Any], identity: Identity) -> str:
    """The address, if it is certain that its owner is the one who signs in."""
    if identity.email is None:
        raise SignInRefusedError("the identity provider gives no e-mail address of the user")
    trusted = config.get("trust_email", config["type"] == SAML)
    is_verified = trusted if identity.email_verified is None else identity.email_verified
    if not is_verified:
        raise SignInRefusedError("the identity provider does not say that the user's e-mail address is verified")
    return identity.email
