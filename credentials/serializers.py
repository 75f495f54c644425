"""Credentials on the wire: secrets come in, and never go out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.fields import ComputedField, EnumField, InstantField, IntegerField, JsonObjectField, StringField
from core.serializers import ResourceSerializer, StrictSerializer
from core.unions import Forms, UnionField
from credentials.models import Credential, CredentialType, ManagedType, OwnerType
from credentials.services import CredentialSpec, create_credential, keep_replaced, open_config, seal_config

LONGEST_SECRET = 65_536


def _secret(help_text: str, **kwargs: Any) -> StringField:
    return StringField(max_length=LONGEST_SECRET, help_text=help_text, **kwargs)


def _type(name: CredentialType) -> EnumField:
    return EnumField([name.value], help_text=f"`{name.value}`")


class AwsConfigSerializer(StrictSerializer):
    """An AWS access key."""

    type = _type(CredentialType.AWS)
    access_key_id = _secret("Access key id.")
    secret_access_key = _secret("Secret access key.")
    session = _secret("Session token of temporary credentials.", required=False)


class AwsRoleConfigSerializer(StrictSerializer):
    """An AWS role that is assumed in the customer's AWS account."""

    type = _type(CredentialType.AWS_ROLE)
    role_arn = _secret("ARN of the role.")
    external_id = _secret("External id that the role's trust policy asks for.")
    role_session_name = _secret("Name of the session.", required=False)
    duration = IntegerField(
        min_value=900, max_value=43_200, required=False, help_text="Length of the session in seconds, from 900."
    )


class TokenConfigSerializer(StrictSerializer):
    """A token or API key."""

    type = _type(CredentialType.TOKEN)
    secret = _secret("The token.")


class BasicConfigSerializer(StrictSerializer):
    """A user name and its secret."""

    type = _type(CredentialType.BASIC)
    username = _secret("User name.")
    secret = _secret("Password or API token.")


class SecretConfigSerializer(StrictSerializer):
    """A secret value, such as a webhook's address."""

    type = _type(CredentialType.SECRET)
    secret = _secret("The secret value.")


class OAuthClientConfigSerializer(StrictSerializer):
    """An OAuth 2.0 client for the client credentials grant."""

    type = _type(CredentialType.OAUTH_CLIENT)
    token_url = _secret(
        "Address tokens are got at, where the provider's configuration does not give it.", required=False
    )
    client_id = _secret("Id of the client.")
    client_secret = _secret("Secret of the client.")
    extra = JsonObjectField(required=False, help_text="What else the connection needs, such as a signing key's id.")


class TlsCertificateConfigSerializer(StrictSerializer):
    """A certificate and its private key, both PEM."""

    type = _type(CredentialType.TLS_CERTIFICATE)
    certificate = _secret("The certificate.")
    private_key = _secret("The private key of the certificate.")
    extra = JsonObjectField(required=False, help_text="What else the connection needs, such as a client id.")


CONFIG_FORMS: Forms = {
    CredentialType.AWS: AwsConfigSerializer,
    CredentialType.AWS_ROLE: AwsRoleConfigSerializer,
    CredentialType.TOKEN: TokenConfigSerializer,
    CredentialType.BASIC: BasicConfigSerializer,
    CredentialType.SECRET: SecretConfigSerializer,
    CredentialType.OAUTH_CLIENT: OAuthClientConfigSerializer,
    CredentialType.TLS_CERTIFICATE: TlsCertificateConfigSerializer,
}


class CredentialConfigNoSecretSerializer(serializers.Serializer[Any]):
    """The type of a credential; the rest is secret."""

    type = EnumField(CredentialType, help_text="The type of the credential.")


@extend_schema_field(CredentialConfigNoSecretSerializer)
class ShownConfigField(ComputedField):
    """What is shown of a credential's configuration."""

    columns = ("credential_type",)

    def encode(self, *values: Any) -> Any:
        return {"type": values[0]}


@extend_schema_field({"type": "string", "format": "uuid"})
class OwnedByField(ComputedField):
    """The owner's id, when the owner is of this type."""

    columns = ("owner_type", "owner_id")

    def __init__(self, owner_type: OwnerType, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.owner_type = owner_type

    def encode(self, *values: Any) -> Any:
        return values[1] if values[0] == self.owner_type else None


@extend_schema_serializer(component_name="CredentialResponse")
class CredentialSerializer(ResourceSerializer):
    """A secret that signs in to a provider, without the secret."""

    integration_id = OwnedByField(OwnerType.INTEGRATION, help_text="The owner, if it is an integration.")
    integration_point_id = OwnedByField(OwnerType.INTEGRATION_POINT, help_text="The owner, if it is a point.")
    organization_webhook_id = OwnedByField(OwnerType.ORGANIZATION_WEBHOOK, help_text="The owner, if it is a webhook.")
    owner_type = EnumField(OwnerType, default=OwnerType.ACCOUNT, help_text="What owns it; fixed once set.")
    config = ShownConfigField(help_text="The type of the credential; the rest is secret.")
    expires = InstantField(required=False, help_text="When it can no longer be used.")
    managed = EnumField(ManagedType, help_text="`Managed` ones come and go with their integration.")

    class Meta(ResourceSerializer.Meta):
        model = Credential
        fields = (
            "name", "created_at", "updated_at", "id", "account_id", "integration_id", "integration_point_id",
            "organization_webhook_id", "owner_type", "fullname", "config", "expires", "managed",
        )  # fmt: skip
        read_only = (
            "id", "account_id", "integration_id", "integration_point_id", "organization_webhook_id", "managed",
            "created_at", "updated_at",
        )  # fmt: skip
        fixed = ("owner_type",)
        optional = ("account_id", "integration_id", "integration_point_id", "organization_webhook_id", "expires")

    def build_fields(self) -> dict[str, Any]:
        fields = super().build_fields()
        if self.mode != "read":
            required = self.mode == "create"
            fields["config"] = UnionField(
                name="CredentialConfig", forms=CONFIG_FORMS, secret=True, required=required, help_text="The secret."
            )
        return fields

    def to_internal_value(self, data: Any) -> Any:
        """A body with the `config` that GET shows leaves the secret as it is."""
        shown = {"type": self.instance.credential_type} if isinstance(self.instance, Credential) else None
        if shown is not None and isinstance(data, Mapping) and data.get("config") == shown:
            data = {name: value for name, value in data.items() if name != "config"}
        return super().to_internal_value(data)

    def validate_expires(self, expires: dt.datetime) -> dt.datetime:
        if expires <= dt.datetime.now(dt.UTC) and (self.instance is None or self.instance.expires != expires):
            raise ValidationError("must lie in the future")
        return expires

    def create(self, validated_data: dict[str, Any]) -> Credential:
        spec = CredentialSpec(
            config=validated_data["config"],
            name=validated_data.get("name"),
            fullname=validated_data.get("fullname"),
            expires=validated_data.get("expires"),
        )
        return create_credential(owner=self.context["owner"], spec=spec)

    def update(self, instance: Credential, validated_data: dict[str, Any]) -> Credential:
        config = validated_data.pop("config", None)
        if config is not None and config != open_config(credential=instance):
            keep_replaced(credential=instance)
            instance.version += 1
            seal_config(credential=instance, config=config)
        credential: Credential = super().update(instance, validated_data)
        return credential
