"""What integrations answer beyond the integration itself, for the API docs."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.fields import ListField
from core.kinds import ProblemSerializer
from credentials.serializers import CredentialSerializer
from identity.tokens.serializers import TokenPairSerializer
from integrations.serializers import IntegrationSerializer


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
