"""Whom an identity stands for: the member it is linked to, or may be linked to, or may become."""

from __future__ import annotations

from typing import Any

from core.columns import new_id
from identity.sso.identities import Identity, SignInRefusedError
from identity.sso.members import create_member, find_member
from identity.sso.models import SAML, SsoConfiguration, SsoLink


def admit(*, sso: SsoConfiguration, identity: Identity) -> str:
    """The id of the member who signs in: by the provider's subject first, else by the verified e-mail address."""
    config = sso.identity_provider
    _refuse_foreign_domain(config, identity)
    known = {"sso": sso, "issuer": identity.issuer, "subject": identity.subject}
    link: SsoLink | None = SsoLink.objects.filter(**known).first()
    if link is not None:
        return link.member_id
    provisioning = config.get("provisioning", "link")
    if provisioning == "none":
        raise SignInRefusedError("nobody here is linked to this user of the identity provider, and no link is made")
    email = _verified_email(config, identity)
    member_id = find_member(email)
    if member_id is None and provisioning == "create":
        member_id = create_member(email=email, fullname=identity.fullname)
    if member_id is None:
        raise SignInRefusedError(f"no member of the organization has the e-mail address {email}")
    SsoLink.in_scope(id=new_id(), member_id=member_id, **known).save(force_insert=True)
    return member_id


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
