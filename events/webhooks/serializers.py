"""Organization webhooks on the wire."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from accounts.models import Environment
from core.columns import new_id
from core.fields import BooleanField, EnumField, InstantField, IntegerField, ListField, SecretField, StringField
from core.names import assign_name
from core.outbound import OutboundRefusedError
from core.outbound.deadline import Deadline
from core.outbound.destination import find_addresses, parse_url
from core.outbound.networks import parse_networks
from core.references import Owner
from core.serializers import ResourceSerializer, StrictSerializer
from credentials.models import Credential, CredentialType, OwnerType
from credentials.services import CredentialSpec, create_credential
from events.webhooks.models import DisabledReason, OrganizationWebhook, WebhookFilter
from events.webhooks.services import MOST_WEBHOOKS, SIGNING_TYPES, TooManyWebhooksError, retire_secret
from events.webhooks.signatures import PREFIX, decoded_key


@extend_schema_field({"type": "string", "format": "uri", "maxLength": 2048})
class ReceiverUrlField(StringField):
    """An address that deliveries may be sent to, as far as it shows without looking its host up."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2048, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        exceptions = parse_networks(tuple(settings.OUTBOUND_ALLOW))
        try:
            destination = parse_url(text)
            if destination.address is not None or (destination.scheme == "http" and not exceptions):
                find_addresses(destination, exceptions, Deadline.after(1))
        except OutboundRefusedError as error:
            raise ValidationError(error.message) from error
        return text


class SigningSecretField(SecretField):
    """A secret that deliveries are signed with."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if text.startswith(PREFIX) and decoded_key(text) is None:
            raise ValidationError(f"must have the base64 of 24 to 64 bytes after `{PREFIX}`, or not begin with it")
        return text


class OrganizationWebhookSecretSerializer(StrictSerializer):
    """The secret that deliveries are signed with."""

    secret = True

    value = SigningSecretField(
        max_length=1024, help_text="The secret: any text, or `whsec_` and base64 as Standard Webhooks writes it."
    )
    expires = InstantField(required=False, help_text="When it can no longer be used; never if not given.")

    def validate_expires(self, expires: dt.datetime) -> dt.datetime:
        if expires <= dt.datetime.now(dt.UTC):
            raise ValidationError("must lie in the future")
        return expires


class OrganizationWebhookSerializer(ResourceSerializer):
    """A receiver of what happens to the accounts of one environment."""

    environment = EnumField(
        Environment, default=Environment.PROD, help_text="Only what happens to accounts of this environment is sent."
    )
    filters = ListField(
        child=EnumField(WebhookFilter), min_length=1, help_text="The events that are sent; `all` for every one."
    )
    url = ReceiverUrlField(help_text="Where events are sent, by https.")
    disabled_at = InstantField(
        required=False, help_text="Since when nothing is sent any more; absent while it is enabled."
    )
    disabled_reason = EnumField(
        DisabledReason,
        required=False,
        help_text="Why: it was `requested`, the receiver answered that it is `gone` (410), or it was `failing` for "
        "5 days.",
    )
    secret = OrganizationWebhookSecretSerializer(
        write_only=True, help_text="The secret that deliveries are signed with. It becomes a credential."
    )

    class Meta(ResourceSerializer.Meta):
        model = OrganizationWebhook
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "environment", "filters", "url", "credential_id",
            "disabled_at", "disabled_reason", "secret",
        )  # fmt: skip
        read_only = ("id", "created_at", "updated_at", "disabled_at", "disabled_reason")
        optional = ("disabled_at", "disabled_reason")
        create_only = ("secret",)
        update_only = ("credential_id",)

    def validate_filters(self, filters: list[str]) -> list[str]:
        return list(dict.fromkeys(filters))

    def validate_credential_id(self, credential_id: str) -> str:
        if self.instance is not None and credential_id == self.instance.credential_id:
            return credential_id
        found: Credential | None = Credential.objects.filter(
            pk=credential_id,
            owner_type=OwnerType.ORGANIZATION_WEBHOOK,
            owner_id=self.instance.pk,  # type: ignore[union-attr]
        ).first()
        if found is None:
            raise ValidationError("is no credential of this webhook: create one whose owner it is first")
        if found.credential_type not in SIGNING_TYPES:
            raise ValidationError(f"is a credential of the type {found.credential_type}: it must be secret or token")
        if found.expires is not None and found.expires <= dt.datetime.now(dt.UTC):
            raise ValidationError("is a credential that has expired")
        return credential_id

    def create(self, validated_data: dict[str, Any]) -> OrganizationWebhook:
        if OrganizationWebhook.objects.unnarrowed().count() >= MOST_WEBHOOKS:
            raise TooManyWebhooksError(f"an organization can have {MOST_WEBHOOKS} webhooks, and has them")
        secret = validated_data.pop("secret")
        name, fullname = validated_data.pop("name", None), validated_data.pop("fullname", None)
        webhook = OrganizationWebhook.in_scope(id=new_id(), **validated_data)
        assign_name(webhook, name=name, fullname=fullname)
        spec = CredentialSpec(
            config={"type": CredentialType.SECRET, "secret": secret["value"]}, expires=secret.get("expires")
        )
        webhook.credential = create_credential(owner=Owner(OwnerType.ORGANIZATION_WEBHOOK, webhook.id, None), spec=spec)
        webhook.save(force_insert=True)
        return webhook

    def update(self, instance: OrganizationWebhook, validated_data: dict[str, Any]) -> OrganizationWebhook:
        before = instance.credential_id
        webhook: OrganizationWebhook = super().update(instance, validated_data)
        if webhook.credential_id != before:
            retire_secret(credential_id=before)
        return webhook


class RecoverRequestSerializer(StrictSerializer):
    """From when on to send again what has not got through."""

    since = InstantField(help_text="Deliveries made at or after this time that failed or were cancelled.")


class RecoverResultSerializer(StrictSerializer):
    """What is being sent again."""

    recovered = IntegerField(help_text="How many deliveries are being sent again.")
    has_more = BooleanField(help_text="Whether there are more: then ask again.")
