"""Integration points on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from core.fields import ListField, StringField
from core.references import refuse_while_used
from core.serializers import ResourceSerializer, StrictSerializer
from integrations.mappings import (
    AdditionalMappingTemplateSerializer,
    MappingChainTemplateSerializer,
    note_mappings,
    provider_ids,
    refuse_unknown_connector,
    refuse_unknown_providers,
)
from integrations.points.models import IntegrationPoint
from integrations.schedules import (
    OperationScheduleSerializer,
    operations_of,
    raise_frequencies,
    refuse_foreign_operations,
)


class IntegrationEnvironmentsSerializer(StrictSerializer):
    """The providers allowed, by the environment of the account. `*` allows all of the connector."""

    test = provider_ids(required=False, max_length=250, help_text="Allowed in test accounts; none if not given.")
    prod = provider_ids(required=False, max_length=250, help_text="Allowed in production accounts; none if not given.")


class IntegrationPointSerializer(ResourceSerializer):
    """A place of your product where something can be connected."""

    description = StringField(
        max_length=2048, required=False, allow_blank=True, help_text="For you; not shown to end users."
    )
    connector = StringField(
        max_length=64, help_text="The category of what is connected here; fixed while integrations belong to it."
    )
    environments = IntegrationEnvironmentsSerializer(help_text="Which providers are allowed where.")
    mappings = ListField(
        child=MappingChainTemplateSerializer(), required=False, help_text="Mapping chains given to new integrations."
    )
    additional_mappings = ListField(
        child=AdditionalMappingTemplateSerializer(),
        required=False,
        help_text="Custom fields given to new integrations.",
    )
    scheduled_operations = ListField(
        child=OperationScheduleSerializer(), required=False, help_text="Schedules given to new integrations."
    )

    class Meta(ResourceSerializer.Meta):
        model = IntegrationPoint
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "description", "connector", "environments",
            "mappings", "additional_mappings", "scheduled_operations",
        )  # fmt: skip
        optional = ("fullname", "description", "mappings", "additional_mappings", "scheduled_operations")

    def validate_connector(self, connector: str) -> str:
        return refuse_unknown_connector(connector)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        self.refuse_foreign_providers(attrs)
        schedules = attrs.get("scheduled_operations") or []
        refuse_foreign_operations(schedules, operations_of(attrs["connector"]))
        raise_frequencies(schedules)
        return attrs

    def update(self, instance: IntegrationPoint, validated_data: dict[str, Any]) -> IntegrationPoint:
        validated_data.setdefault("fullname", validated_data["name"])
        if validated_data["connector"] != instance.connector:
            refuse_while_used(instance)  # its integrations are of the connector that it had
        point: IntegrationPoint = super().update(instance, validated_data)
        note_mappings(chains=point.mappings, point=point)
        return point

    def create(self, validated_data: dict[str, Any]) -> IntegrationPoint:
        point: IntegrationPoint = super().create(validated_data)
        if point.mappings:
            note_mappings(chains=point.mappings, point=point)
        return point

    def refuse_foreign_providers(self, attrs: dict[str, Any]) -> None:
        """Every provider named must be one of the point's connector."""
        for environment, ids in attrs["environments"].items():
            try:
                refuse_unknown_providers(ids, attrs["connector"])
            except ValidationError as error:
                raise ValidationError({"environments": {environment: error.detail}}) from error
