"""The catalog on the wire."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.fields import BooleanField, EnumField, JsonObjectField, ListField, StringField

AVAILABILITY = ("internal", "in-development", "pre-release", "deprecated", "generally-available")


class ConnectorReleaseSerializer(serializers.Serializer[Any]):
    """How finished a connector is."""

    availability = EnumField(AVAILABILITY, help_text="How finished it is.")


class ProviderReleaseSerializer(serializers.Serializer[Any]):
    """How finished a provider is, and where it may be used."""

    availability = EnumField(AVAILABILITY, help_text="How finished it is.")
    environments = ListField(child=EnumField(("prod", "test")), help_text="Environments it may be used in.")


class ProviderOperationsSerializer(serializers.Serializer[Any]):
    """An operation of a connector, and whether the provider supports it here."""

    id = StringField(help_text="Id of the operation.")
    name = StringField(help_text="Name of the operation.")
    supported = BooleanField(help_text="Whether calls to it are answered for this provider.")


class ProviderCapabilitiesBaseSerializer(serializers.Serializer[Any]):
    """What can be connected, and what is known of it."""

    id = StringField(help_text="The `type` of its configuration.")
    name = StringField(help_text="The same as `id`.")
    fullname = StringField(help_text="Display name.")
    vendor = StringField(help_text="Who makes it.")
    description = StringField(help_text="What is connected.")
    connector_id = StringField(help_text="The connector it belongs to.")
    operations = ListField(
        child=ProviderOperationsSerializer(), required=False, help_text="Its operations, when `expand` asks for them."
    )
    provider_config = JsonObjectField(
        required=False, help_text="JSON Schema of its configuration, when `expand` asks for it."
    )
    release = ProviderReleaseSerializer(required=False, help_text="How finished it is.")


class ConnectorSerializer(serializers.Serializer[Any]):
    """A category of providers that share an API."""

    id = StringField(help_text="Id of the connector.")
    name = StringField(help_text="The same as `id`.")
    fullname = StringField(help_text="Display name.")
    description = StringField(help_text="What its providers have in common.")
    provider_ids = ListField(child=StringField(), help_text="Its providers.")
    providers = ListField(
        child=ProviderCapabilitiesBaseSerializer(),
        required=False,
        help_text="Its providers, when `expand` asks for them.",
    )
    connector = StringField(required=False, help_text="The same as `id`; deprecated.")
    release = ConnectorReleaseSerializer(required=False, help_text="How finished it is.")


@extend_schema_field({"oneOf": [{"type": "string"}, {"$ref": "#/components/schemas/Connector"}]})
class ConnectorReferenceField(StringField):
    """A connector's id, or the connector."""


class ProviderCapabilitiesSerializer(ProviderCapabilitiesBaseSerializer):
    """What can be connected, with its connector."""

    connector = ConnectorReferenceField(
        required=False, help_text="The connector's id, or the connector when `expand` asks for it."
    )
