"""From a configuration to its protocol: the address a sign-in begins at, and whom its answer is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from identity.sso import oidc, places, saml
from identity.sso.assertions import EMAIL_FORMAT
from identity.sso.attempts import proofs_of, refuse_replayed, request_id_of
from identity.sso.certificates import read_certificates
from identity.sso.identities import Identity, SignInRefusedError
from identity.sso.models import OIDC, SsoConfiguration
from identity.sso.services import open_secret


def oidc_client(sso: SsoConfiguration) -> oidc.OidcClient:
    shown = sso.identity_provider
    return oidc.OidcClient(
        issuer_url=shown["issuer_url"],
        client_id=shown["client_id"],
        client_secret=open_secret(sso),
        redirect_uri=places.redirect_uri(),
    )


def saml_parties(sso: SsoConfiguration) -> saml.SamlParties:
    shown, unshown = sso.identity_provider, sso.unshown or {}
    return saml.SamlParties(
        idp_entity_id=shown["idp_entity_id"],
        idp_sso_url=shown["idp_sso_url"],
        certificates=read_certificates(unshown["idp_certificate"]),
        sp_entity_id=shown["sp_entity_id"],
        acs_url=places.acs_url(),
        name_id_format=shown.get("name_id_format", EMAIL_FORMAT),
    )


def start_url(*, sso: SsoConfiguration, state: str) -> str:
    """Where at the provider a sign-in begins."""
    if sso.identity_provider["type"] == OIDC:
        return oidc.authorization_url(client=oidc_client(sso), state=state, proofs=proofs_of(state))
    now = dt.datetime.now(dt.UTC)
    return saml.request_url(parties=saml_parties(sso), request_id=request_id_of(state), state=state, now=now)


def identify_oidc(*, sso: SsoConfiguration, state: str, query: Mapping[str, str]) -> Identity:
    """Whom the redirect back from an OpenID Connect provider is about."""
    answer = oidc.OidcAnswer(code=query.get("code"), error=query.get("error"), iss=query.get("iss"))
    return oidc.identify(client=oidc_client(sso), answer=answer, proofs=proofs_of(state))


def identify_saml(*, sso: SsoConfiguration, state: str, response: str) -> Identity:
    """Whom a SAML response is about."""
    asserted = saml.identify(
        parties=saml_parties(sso),
        response=response,
        request_id=request_id_of(state),
        now=dt.datetime.now(dt.UTC),
    )
    if not asserted.assertion_id:
        raise SignInRefusedError("the assertion of the identity provider has no id")
    refuse_replayed(sso=sso, assertion_id=asserted.assertion_id, good_until=asserted.good_until)
    return asserted.identity
