"""Integrations on the wire."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError

from accounts.models import Account
from accounts.serializers import AccountSerializer, label_pattern
from catalog.registry import get_provider, list_providers
from core.columns import is_id
from core.durations import DurationField
from core.fields import (
    ComputedField,
    EnumField,
    IdField,
    JsonObjectField,
    ListField,
    NewNameField,
    StringField,
    UrlField,
)
from core.serializers import ResourceSerializer, StrictSerializer, in_mode
from core.unions import UnionField
from identity.tokens.models import Token
from identity.tokens.networks import NetworksField
from integrations.bridges.models import Bridge
from integrations.drafts import Draft, draft_integration
from integrations.mappings import AdditionalMappingSerializer, MappingChainSerializer, note_mappings
from integrations.models import Integration
from integrations.operations.services import follow_schedules
from integrations.points.models import IntegrationPoint
from integrations.points.serializers import IntegrationPointSerializer
from integrations.schedules import OperationScheduleSerializer, refuse_foreign_operations
from integrations.services import Outcome, change_integration, create_integration

WEBHOOK_EVENTS = ("TicketCreated", "TicketUpdated", "TicketDeleted", "TicketCommentCreated", "TicketCommentDeleted")


class BridgeByIdSerializer(StrictSerializer):
    """The bridge group with this id."""

    type = EnumField(["id"], help_text="`id`")
    value = StringField(help_text="Id of the bridge group.")


class BridgeByLabelsSerializer(StrictSerializer):
    """Any bridge group that carries all of these labels."""

    type = EnumField(["labels"], help_text="`labels`")
    value = ListField(
        child=StringField(max_length=48, validators=[label_pattern]),
        min_length=1,
        max_length=20,
        help_text="The labels.",
    )


class KeyField(StringField):
    """A key: problems never show it."""

    secret = True


class WebhookItemSerializer(StrictSerializer):
    """Where events of the provider are sent on to."""

    webhook_url = UrlField(help_text="Address the events are sent to.")
    event_filter = ListField(child=EnumField(WEBHOOK_EVENTS), required=False, help_text="Only these events.")
    integrator_key = KeyField(
        min_length=3, max_length=64, required=False, help_text="Key that signs them; made and shown once if not given."
    )


class WebhookConfigSerializer(StrictSerializer):
    """Webhooks from the provider."""

    provider_key = KeyField(required=False, max_length=1024, help_text="Key the provider signs its webhooks with.")
    items = ListField(child=WebhookItemSerializer(), help_text="Where they are sent on to.")

    def validate_items(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        urls = [item["webhook_url"] for item in items]
        twice: Any = {i: {"webhook_url": ["is there twice"]} for i, url in enumerate(urls) if url in urls[:i]}
        if twice:
            raise ValidationError(twice)
        return items


class ProviderConfigField(JsonObjectField):
    """The configuration of a provider: one of the catalog's, by `type`."""

    secret = True  # it may hold credentials: problems never show its values

    @property
    def types(self) -> tuple[str, ...]:
        """What `type` may say."""
        return tuple(provider.id for provider in list_providers())


@extend_schema_field({"type": "string"})
class ProviderFullnameField(ComputedField):
    """The provider's display name, from the catalog."""

    columns = ("provider_type",)

    def encode(self, *values: Any) -> Any:
        provider = get_provider(values[0])
        return provider.fullname if provider else values[0]


class IntegrationSerializer(ResourceSerializer):
    """An account's connection to one provider."""

    refresh_token_id = IdField(help_text="Id of the integration's own token.")
    account = AccountSerializer(required=False, help_text="The account, when `expand` asks for it.")
    category = StringField(help_text="The connector.")
    provider_config = ProviderConfigField(help_text="How to reach and sign in to the provider.")
    provider_fullname = ProviderFullnameField(help_text="Display name of the provider.")
    provider_type = StringField(help_text="The type in `provider_config`.")
    integration_point_id = IdField(required=False, help_text="The integration point it belongs to.")
    integration_point = IntegrationPointSerializer(required=False, help_text="The point, when `expand` asks for it.")
    bridge_selector = UnionField(
        name="BridgeSelector",
        forms={"id": BridgeByIdSerializer, "labels": BridgeByLabelsSerializer},
        required=False,
        help_text="The bridge its requests go through.",
    )
    webhook_config = WebhookConfigSerializer(required=False, help_text="Webhooks from the provider.")
    mappings = ListField(child=MappingChainSerializer(), required=False, help_text="Mapping chains.")
    additional_mappings = ListField(child=AdditionalMappingSerializer(), required=False, help_text="Custom fields.")
    scheduled_operations = ListField(
        child=OperationScheduleSerializer(), required=False, help_text="What runs by itself."
    )

    class Meta(ResourceSerializer.Meta):
        model = Integration
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "refresh_token_id", "account_id", "account",
            "category", "provider_config", "provider_fullname", "provider_type", "integration_point_id",
            "integration_point", "bridge_selector", "webhook_config", "mappings", "additional_mappings",
            "scheduled_operations",
        )  # fmt: skip
        read_only = (
            "id", "refresh_token_id", "account_id", "category", "provider_fullname", "provider_type", "created_at",
            "updated_at",
        )  # fmt: skip
        optional = (
            "account", "integration_point_id", "integration_point", "bridge_selector", "webhook_config", "mappings",
            "additional_mappings", "scheduled_operations",
        )  # fmt: skip
        expanded = ("account", "integration_point")

    outcome: Outcome  # of the last save
    draft: Draft

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        point_id = attrs.get("integration_point_id")
        point = IntegrationPoint.objects.filter(id=point_id).first() if point_id else None
        if point_id and point is None:
            raise ValidationError({"integration_point_id": "does not exist"})
        prefix, current = self.context.get("prefix", ""), self.instance
        account, selector = self.context["account"], attrs.get("bridge_selector")
        if current is None or selector != current.bridge_selector:  # a bridge in use may be deleted, to shut it out
            refuse_missing_bridge(account, selector)
        draft = draft_integration(
            account=account, config=attrs["provider_config"], point=point, integration=current, prefix=prefix
        )
        self.draft = draft.through(selector)
        if current is not None and self.draft.provider.id != current.provider_type:
            raise ValidationError({"provider_config": {"type": "cannot be changed: make a new integration"}})
        refuse_foreign_operations(attrs.get("scheduled_operations") or [], self.draft.schedulable())
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Integration:
        validated_data.pop("provider_config")
        validated_data.pop("integration_point_id", None)
        self.outcome = create_integration(draft=self.draft, attrs=validated_data)
        return self.outcome.integration

    def update(self, instance: Integration, validated_data: dict[str, Any]) -> Integration:
        validated_data.pop("provider_config")
        webhooks = validated_data.get("webhook_config")
        instance.scheduled_operations = validated_data.get("scheduled_operations")
        self.outcome = change_integration(integration=instance, draft=self.draft, webhooks=webhooks)
        validated_data["webhook_config"] = instance.webhook_config
        validated_data["scheduled_operations"] = instance.scheduled_operations
        integration: Integration = super().update(instance, validated_data)
        note_mappings(chains=integration.mappings, integration=integration)
        follow_schedules(integration=integration)
        return integration


def refuse_missing_bridge(account: Account, selector: dict[str, Any] | None) -> None:
    """Raises when a selector names a bridge that the account has not. Labels may be those of bridges to come."""
    if selector is None or selector["type"] != "id":
        return
    bridge_id = selector["value"]
    if not is_id(bridge_id) or not Bridge.objects.filter(account=account, id=bridge_id).exists():
        raise ValidationError({"bridge_selector": {"value": "does not exist"}})


class CreateIntegrationTokenRequestSerializer(StrictSerializer):
    """A token for the connector API of one integration."""

    name = NewNameField(
        reserved=Token.reserved_names, required=False, help_text="Unique short name; the token's id if not given."
    )
    token_ttl = DurationField(required=False, help_text="How long the token works. 10 minutes if not given.")
    allowed_networks = NetworksField()


class VerifyIntegrationRequestSerializer(StrictSerializer):
    """An integration to verify without making it."""

    integration = in_mode(IntegrationSerializer, "create")(help_text="The integration as it would be created.")
