"""The addresses that identity providers and browsers find this service at."""

from __future__ import annotations

from django.conf import settings


def redirect_uri() -> str:
    """Where an OpenID Connect provider sends the browser back to."""
    return f"{settings.PUBLIC_URL}/v1/auth/oidc/callback"


def acs_url() -> str:
    """Where a SAML identity provider posts its response."""
    return f"{settings.PUBLIC_URL}/v1/auth/saml/acs"


def metadata_url() -> str:
    """This service's SAML metadata; also its entity id unless a configuration says another."""
    return f"{settings.PUBLIC_URL}/v1/auth/saml/metadata"


def is_secure() -> bool:
    """Whether browsers reach the service by https."""
    return str(settings.PUBLIC_URL).startswith("https://")
