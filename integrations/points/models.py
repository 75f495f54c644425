"""The integration point."""

from __future__ import annotations

from core.columns import JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by


class IntegrationPoint(Resource):
    """What may be connected at one place of the organization's product.

    `environments` lists the allowed provider types by the environment of the account: none if absent or
    empty, every provider of the connector for `*`. Mappings and schedules are copied to an integration when
    it is created; later changes here do not reach it.
    """

    resource_type = "integration_point"
    reserved_names = frozenset({"lookup"})  # /v1/credentials/lookup
    narrowed_by = {"categories": "connector"}

    description = TextColumn(max_length=2048, null=True, default=None)
    connector = TextColumn(max_length=64)
    environments = JsonColumn(default=dict)
    mappings = JsonColumn(null=True, default=None)
    additional_mappings = JsonColumn(null=True, default=None)
    scheduled_operations = JsonColumn(null=True, default=None)

    class Meta:
        constraints = [named_once("point")]
        indexes = sorted_by("point", "fullname", "created_at", "updated_at", "connector")

    def allows(self, provider_type: str, environment: str) -> bool:
        """Whether accounts of this environment may connect this provider here."""
        allowed = self.environments.get(environment) or []
        return provider_type in allowed or "*" in allowed
