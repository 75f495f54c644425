"""What the tests of signing in share: providers, configurations of them, a member and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from identity.sso.discovery import forget_documents
from tests.api import Api
from tests.identity.sso.browser import PUBLIC_URL, RETURN_TO, Browser
from tests.identity.sso.configs import OIDC, SAML, make_sso
from tests.identity.sso.oidc_provider import OidcProvider, oidc_provider
from tests.identity.sso.saml_idp import SamlIdp, saml_idp
from tests.identity.test_member import make_member


@pytest.fixture
def open_loopback(settings: LazySettings) -> Iterator[None]:
    """A service whose operator lets it call this machine, and that remembers no provider."""
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    settings.RETURN_TO = [RETURN_TO]
    settings.PUBLIC_URL = PUBLIC_URL
    forget_documents()
    yield
    forget_documents()


@pytest.fixture
def provider(open_loopback: None) -> Iterator[OidcProvider]:
    with oidc_provider() as running:
        yield running


@pytest.fixture
def sso(provider: OidcProvider, acme: Api) -> dict[str, Any]:
    """Acme's configuration of the provider."""
    return make_sso(acme, OIDC | {"issuer_url": provider.issuer})


@pytest.fixture
def ada(acme: Api) -> dict[str, Any]:
    """The member whom the providers know."""
    return make_member(acme, "ada@example.com")


@pytest.fixture
def browser() -> Browser:
    return Browser()


@pytest.fixture
def idp(open_loopback: None) -> Iterator[SamlIdp]:
    with saml_idp() as running:
        yield running


@pytest.fixture
def saml_sso(idp: SamlIdp, acme: Api) -> dict[str, Any]:
    """Acme's configuration of the identity provider."""
    return make_sso(acme, SAML | {"idp_sso_url": idp.url})
