"""Single sign-on configurations on the wire."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.columns import new_id
from core.fields import BooleanField, EnumField, JsonObjectField, ListField, StringField
from core.names import assign_name
from core.serializers import ResourceSerializer, StrictSerializer
from core.unions import UnionField
from identity.sso.addresses import DomainField, ProviderUrlField
from identity.sso.assertions import NAME_ID_FORMATS
from identity.sso.certificates import CertificateField
from identity.sso.models import OIDC, SAML, SsoConfiguration
from identity.sso.services import refuse_taken_fullname, set_config

PROVISIONING = ("none", "link", "create")


class AdmissionSerializer(StrictSerializer):
    """Who may sign in: members beyond the contract, shown only where they were given."""

    provisioning = EnumField(
        PROVISIONING,
        required=False,
        help_text="What a first sign-in does: `link` (the default) joins it to the member with the same, verified "
        "e-mail address; `create` also makes a member where there is none; `none` does neither.",
    )
    allowed_domains = ListField(
        child=DomainField(),
        required=False,
        min_length=1,
        help_text="Only e-mail addresses of these domains sign in; all if not given.",
    )
    trust_email = BooleanField(
        required=False,
        help_text="Whether an e-mail address counts as verified when the provider does not say. `true` if not given "
        "for SAML, which has no way to say it, `false` for OIDC.",
    )
    require_second_factor = BooleanField(
        required=False,
        help_text="Whether the second factor of this service is asked for as well. If not, which is the default, the "
        "identity provider answers for it.",
    )


class OidcShownSerializer(AdmissionSerializer):
    """An OpenID Connect provider."""

    type = EnumField([OIDC], help_text="`oidc`")
    issuer_url = ProviderUrlField(
        may_have_query=False, help_text="The issuer; its discovery document is at `/.well-known/openid-configuration`."
    )
    client_id = StringField(help_text="Id of the client registered with the provider.")


class CreateOidcSerializer(OidcShownSerializer):
    """An OpenID Connect provider, with the client's secret."""

    client_secret = StringField(max_length=4096, help_text="Secret of the client. It is sealed and never shown.")


class UpdateOidcSerializer(OidcShownSerializer):
    """An OpenID Connect provider, with a new secret or without one."""

    client_secret = StringField(
        max_length=4096,
        required=False,
        help_text="New secret; without one the old one stays. Needed when `issuer_url` changes.",
    )


class SamlShownSerializer(AdmissionSerializer):
    """A SAML 2.0 identity provider."""

    type = EnumField([SAML], help_text="`saml`")
    idp_entity_id = StringField(max_length=1024, help_text="Entity id of the identity provider.")
    idp_sso_url = ProviderUrlField(help_text="Where the provider takes requests by the HTTP-Redirect binding.")
    sp_entity_id = StringField(max_length=1024, help_text="Entity id of this service, as the provider knows it.")
    name_id_format = EnumField(
        NAME_ID_FORMATS, required=False, help_text="Format of the NameID; the e-mail address if not given."
    )


class CreateSamlSerializer(SamlShownSerializer):
    """A SAML 2.0 identity provider, with its certificate."""

    idp_certificate = CertificateField(
        help_text="PEM certificate that the provider signs with; up to three while it changes its key."
    )
    idp_metadata_url = ProviderUrlField(required=False, help_text="Where the provider's metadata is; for you to know.")


class UpdateSamlSerializer(SamlShownSerializer):
    """A SAML 2.0 identity provider, with a new certificate or without one."""

    idp_certificate = CertificateField(required=False, help_text="New certificate; without one the old one stays.")
    idp_metadata_url = ProviderUrlField(required=False, help_text="Where the provider's metadata is; for you to know.")


CONFIG_FORMS = {
    "create": {OIDC: CreateOidcSerializer, SAML: CreateSamlSerializer},
    "update": {OIDC: UpdateOidcSerializer, SAML: UpdateSamlSerializer},
}


@extend_schema_serializer(component_name="SsoConfiguration")
class SsoSerializer(ResourceSerializer):
    """How to sign in to the organization with one identity provider."""

    identity_provider = UnionField(
        name="IdPConfiguration",
        forms={OIDC: OidcShownSerializer, SAML: SamlShownSerializer},
        help_text="The identity provider, without secrets and certificates.",
    )

    class Meta(ResourceSerializer.Meta):
        model = SsoConfiguration
        fields = ("name", "created_at", "updated_at", "id", "fullname", "identity_provider")
        read_only = ("id", "created_at", "updated_at", "identity_provider")
        kept = ("name", "created_at", "updated_at", "id", "identity_provider")

    def build_fields(self) -> dict[str, Any]:
        fields = super().build_fields()
        if self.mode != "read":
            fields["fullname"].required = True
            fields["fullname"].help_text = "Display name on sign-in pages; no two configurations share one."
            fields["config"] = UnionField(
                name=f"{self.mode.capitalize()}SsoConfiguration",
                forms=CONFIG_FORMS[self.mode],
                secret=True,
                help_text="The identity provider.",
            )
        if self.mode == "update":
            fields["identity_provider"] = JsonObjectField(required=False, help_text="As it was read, or left out.")
        return fields

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if self.instance is not None:
            self._refuse_incomplete(attrs["config"])
        return attrs

    def _refuse_incomplete(self, config: dict[str, Any]) -> None:
        """A secret is kept only for the issuer that it was given for: another one must not get it."""
        stored: dict[str, Any] = self.instance.identity_provider  # type: ignore[union-attr]
        if config["type"] == SAML and stored["type"] != SAML and "idp_certificate" not in config:
            raise ValidationError({"config": {"idp_certificate": ["is required when the type changes"]}})
        same_issuer = stored.get("issuer_url") == config.get("issuer_url")
        if config["type"] == OIDC and not same_issuer and "client_secret" not in config:
            raise ValidationError({"config": {"client_secret": ["is required when the issuer changes"]}})

    def create(self, validated_data: dict[str, Any]) -> SsoConfiguration:
        sso = SsoConfiguration.in_scope(id=new_id())
        assign_name(sso, name=validated_data.get("name"), fullname=validated_data["fullname"])
        refuse_taken_fullname(sso, sso.fullname)
        set_config(sso, validated_data["config"])
        sso.save(force_insert=True)
        return sso

    def update(self, instance: SsoConfiguration, validated_data: dict[str, Any]) -> SsoConfiguration:
        if validated_data["fullname"] != instance.fullname:
            refuse_taken_fullname(instance, validated_data["fullname"])
        set_config(instance, validated_data.pop("config"))
        sso: SsoConfiguration = super().update(instance, validated_data)
        return sso


class OidcUserConfigurationSerializer(serializers.Serializer[Any]):
    """What to enter at an OpenID Connect provider."""

    redirect_uri = StringField(help_text="The redirect URI to register.")


class SamlUserConfigurationSerializer(serializers.Serializer[Any]):
    """What to enter at a SAML identity provider."""

    acs_url = StringField(help_text="Address of the Assertion Consumer Service.")
    sp_entity_id = StringField(help_text="Entity id of this service; also the address of its metadata.")
    supported_name_id_formats = ListField(child=StringField(), help_text="Formats of NameID that can be used.")


class SsoUserConfigurationSerializer(serializers.Serializer[Any]):
    """What to enter at the identity provider."""

    oidc = OidcUserConfigurationSerializer(required=False, help_text="For OpenID Connect.")
    saml = SamlUserConfigurationSerializer(required=False, help_text="For SAML.")
