"""What the contract says of operations that their viewsets do not: names, bodies and answers beyond the usual.

See `core.schema.declarations` for what a viewset may declare itself.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from accounts.serializers import AccountSerializer
from catalog.serializers import ConnectorSerializer, ProviderCapabilitiesSerializer
from catalog.views import OF_CONNECTORS, OF_PROVIDER, OF_PROVIDERS
from core.fields import ListField
from core.schema.problems import ProblemSerializer
from core.serializers import in_mode
from credentials.serializers import CredentialSerializer
from identity.tokens.serializers import (
    CreateTokenRequestSerializer,
    RefreshTokenSerializer,
    TokenPairSerializer,
    TokenSerializer,
)
from integrations.serializers import (
    CreateIntegrationTokenRequestSerializer,
    IntegrationSerializer,
    VerifyIntegrationRequestSerializer,
)


class CreateAccountResponseResultSerializer(serializers.Serializer[Any]):
    """The new account, and its token if one was asked for."""

    account = AccountSerializer(help_text="The account.")
    token = RefreshTokenSerializer(
        required=False, help_text="The token that was asked for, with its secrets: they are not shown again."
    )


class IntegrationMessagesResponseSerializer(serializers.Serializer[Any]):
    """Doubts about an integration: what was done stands, but it may not work."""

    problems = ListField(child=ProblemSerializer(), required=False, help_text="The doubts.")


class CreateIntegrationResponseResultSerializer(serializers.Serializer[Any]):
    """The new integration, its credentials and the token for the connector API."""

    credentials_created = ListField(
        child=CredentialSerializer(), required=False, help_text="The credentials made from those in the body."
    )
    integration = IntegrationSerializer(help_text="The integration.")
    token = TokenPairSerializer(help_text="The integration's token; its secrets are not shown again.")


class CreateIntegrationResponseSerializer(serializers.Serializer[Any]):
    """The new integration, and doubts about it if there are any."""

    result = CreateIntegrationResponseResultSerializer(help_text="What was made.")
    messages = IntegrationMessagesResponseSerializer(required=False, help_text="Doubts about it.")


class UpdateIntegrationResponseSerializer(serializers.Serializer[Any]):
    """The changed integration, and doubts about it if there are any."""

    result = IntegrationSerializer(help_text="The integration.")
    credentials_created = ListField(
        child=CredentialSerializer(), required=False, help_text="The credentials made from those in the body."
    )
    messages = IntegrationMessagesResponseSerializer(required=False, help_text="Doubts about it.")


class PatchIntegrationResponseSerializer(UpdateIntegrationResponseSerializer):
    """The changed integration, and doubts about it if there are any."""


class VerifyIntegrationResponseSerializer(serializers.Serializer[Any]):
    """Nothing when the provider accepts the integration, else what speaks against it."""

    messages = IntegrationMessagesResponseSerializer(required=False, help_text="What speaks against it.")


def _expand(choices: tuple[str, ...]) -> dict[str, Any]:
    text = "What to show in full."
    return {"expand": {"type": "array", "items": {"type": "string", "enum": list(choices)}, "description": text}}


DECLARED: dict[str, dict[str, Any]] = {
    "accounts.views.AccountViewSet": {"results": {"create": CreateAccountResponseResultSerializer}},
    "identity.tokens.views.TokenViewSet": {
        "operations": {"create": "create_token", "info": "get"},
        "requests": {"create": CreateTokenRequestSerializer},
        "examples": {
            "create": {
                "name": "reporting",
                "resources": {"accounts": {"ids": ["*"], "environments": ["prod"]}},
                "permission_set": "viewer",
                "token_ttl": "24h",
            }
        },
    },
    "credentials.views.CredentialLookupViewSet": {"operations": {"retrieve": "lookup"}, "noun": "credential"},
    "catalog.views.CapabilitiesViewSet": {
        "results": {
            "list_connectors": ConnectorSerializer,
            "list_providers": ProviderCapabilitiesSerializer,
            "get_provider": ProviderCapabilitiesSerializer,
        },
        "responses": {
            "list_connectors": "ListConnectorsCapabilitiesResponse",
            "list_providers": "ListProvidersCapabilitiesResponse",
            "get_provider": "ProviderCapabilitiesResponse",
        },
        "queries": {
            "list_connectors": _expand(OF_CONNECTORS),
            "list_providers": _expand(OF_PROVIDERS),
            "get_provider": _expand(OF_PROVIDER),
        },
    },
    "integrations.views.OrganizationIntegrationViewSet": {"noun": "integration"},
    "integrations.views.IntegrationViewSet": {
        "operations": {"list": "list_account"},
        "requests": {
            "verify": VerifyIntegrationRequestSerializer,
            "verify_existing": in_mode(IntegrationSerializer, "update"),
        },
        "optional_bodies": ("verify_existing",),
        "responses": {
            "create": CreateIntegrationResponseSerializer,
            "update": UpdateIntegrationResponseSerializer,
            "partial_update": PatchIntegrationResponseSerializer,
            "verify": VerifyIntegrationResponseSerializer,
            "verify_existing": VerifyIntegrationResponseSerializer,
        },
    },
    "integrations.views.IntegrationTokenViewSet": {
        "operations": {"create": "create_integration_token"},
        "requests": {"create": CreateIntegrationTokenRequestSerializer},
        "optional_bodies": ("create",),
        "results": {"create": TokenSerializer},
    },
}


def _declare(target: str, attributes: dict[str, Any]) -> None:
    """Has the schema see a viewset as if it said so itself."""

    def view_replacement(self: OpenApiViewExtension) -> type[Any]:
        cls: Any = self.target_class
        return type(cls.__name__, (cls,), attributes)

    type("Declared", (OpenApiViewExtension,), {"target_class": target, "view_replacement": view_replacement})


def declare() -> None:
    """Tells the schema all of this."""
    extend_schema_serializer(component_name="CredentialResponse")(CredentialSerializer)
    for target, attributes in DECLARED.items():
        _declare(target, attributes)
