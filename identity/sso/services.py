"""Storing the parts of a configuration: what is shown, what is not, and what is sealed."""

from __future__ import annotations

from typing import Any

from core.crypto.sealing import Place, open_sealed, seal
from core.errors import DuplicateNameError, Parameter
from identity.sso.models import OIDC, SsoConfiguration
from identity.tokens.models import Token
from identity.tokens.services import delete_token

UNSHOWN = ("idp_certificate", "idp_metadata_url")
SECRET = "client_secret"  # noqa: S105 - a member's name


def _place(sso: SsoConfiguration) -> Place:
    return Place(
        organization_id=sso.organization_id,
        owner_type="sso_configuration",
        owner_id=sso.id,
        credential_id=sso.id,
        version=sso.version,
    )


def refuse_taken_fullname(sso: SsoConfiguration, fullname: str) -> None:
    """Raises when another configuration is shown by this name on the sign-in page."""
    if SsoConfiguration.objects.filter(fullname=fullname).exclude(pk=sso.pk).exists():
        raise DuplicateNameError(
            f"the fullname {fullname!r} is taken",
            at=Parameter("body", "/fullname", fullname),
            remediation="Choose another `fullname`: people tell configurations apart by it.",
        )


def set_config(sso: SsoConfiguration, config: dict[str, Any]) -> None:
    """Splits a configuration into its columns. A secret or certificate that is left out stays as it is."""
    before = sso.unshown or {}
    kept = {"idp_certificate": before["idp_certificate"]} if "idp_certificate" in before else {}
    given = {name: config[name] for name in UNSHOWN if name in config}
    sso.identity_provider = {n: v for n, v in config.items() if n not in (*UNSHOWN, SECRET)}
    sso.unshown = None if config["type"] == OIDC else {**kept, **given}
    if config["type"] != OIDC:
        sso.sealed = None
    elif SECRET in config:
        sso.version += 1
        sso.sealed = seal(_place(sso), config[SECRET].encode())


def end_sessions(*, sso: SsoConfiguration) -> None:
    """Ends what was opened by a configuration, with all that was derived from it."""
    for session in Token.objects.unnarrowed().filter(sso_id=sso.id):
        delete_token(token=session)


def open_secret(sso: SsoConfiguration) -> str:
    """The client's secret of an OIDC configuration."""
    return open_sealed(_place(sso), bytes(sso.sealed or b"")).decode()
