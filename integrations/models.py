"""The integrations app's tables, in reading order."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from accounts.models import Account
from catalog.models import Custom, Mapping
from core.columns import IdColumn, JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel
from credentials.models import Credential
from integrations.billing.models import Usage, UsageBelow
from integrations.bridges.models import Bridge, BridgeAgent, BridgeLabel, BridgeRequest
from integrations.operations.models import Execution, Operation, SinkRecord
from integrations.points.models import IntegrationPoint
from integrations.status.models import Status, StatusEvent, StatusHour

__all__ = [
    "Bridge",
    "BridgeAgent",
    "BridgeLabel",
    "BridgeRequest",
    "Execution",
    "Integration",
    "IntegrationCredential",
    "IntegrationPoint",
    "MappingUse",
    "Operation",
    "SinkRecord",
    "Status",
    "StatusEvent",
    "StatusHour",
    "Usage",
    "UsageBelow",
]


class Integration(Resource):
    """An account's connection to one provider.

    `provider_config` and `webhook_config` hold no secret: credentials are references, other secret values are
    masked and kept in `sealed_values`, sealed for this integration and `version`.
    """

    resource_type = "integration"
    name_scope: ClassVar[tuple[str, ...]] = ("organization_id", "account_id")
    reserved_names = frozenset({"verify", "info", "secondary", "refresh", "lookup"})
    account_column = "account_id"
    narrowed_by = {"categories": "category"}

    account = models.ForeignKey(Account, models.CASCADE, related_name="+", editable=False)
    integration_point = models.ForeignKey(IntegrationPoint, models.RESTRICT, null=True, related_name="+")
    custom = models.ForeignKey(Custom, models.RESTRICT, null=True, related_name="+")  # what its configuration names
    refresh_token_id = IdColumn()
    category = TextColumn(max_length=64)
    provider_type = TextColumn(max_length=128)
    provider_config = JsonColumn()
    bridge_selector = JsonColumn(null=True, default=None)
    webhook_config = JsonColumn(null=True, default=None)
    mappings = JsonColumn(null=True, default=None)
    additional_mappings = JsonColumn(null=True, default=None)
    scheduled_operations = JsonColumn(null=True, default=None)
    sealed_values = models.BinaryField(null=True, default=None)
    version = models.IntegerField(default=1)

    class Meta:
        constraints = [named_once("integration", "organization", "account")]
        indexes = [
            *sorted_by("integration", "name", "fullname", "created_at", "updated_at"),
            *sorted_by("integration", "category", "provider_type"),
        ]


class IntegrationCredential(TenantModel):
    """A credential that an integration uses: it cannot be deleted as long as it does."""

    resource_type: ClassVar[str] = "integration"  # which stands in the way then, by `holder_id`

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    integration = models.ForeignKey(Integration, models.CASCADE, related_name="credential_rows")
    credential = models.ForeignKey(Credential, models.RESTRICT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "credential"], name="integration_credential_once")
        ]

    def __str__(self) -> str:
        return f"{self.integration_id} uses {self.credential_id}"

    @property
    def holder_id(self) -> str:
        return str(self.integration_id)


class MappingUse(TenantModel):
    """A mapping that an integration or a point names in its chains: it can be neither deleted nor renamed meanwhile."""

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    mapping = models.ForeignKey(Mapping, models.RESTRICT, related_name="+")
    integration = models.ForeignKey(Integration, models.CASCADE, null=True, related_name="+")
    point = models.ForeignKey(IntegrationPoint, models.CASCADE, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "mapping"], name="mapping_once_of_integration"),
            models.UniqueConstraint(fields=["point", "mapping"], name="mapping_once_of_point"),
        ]

    def __str__(self) -> str:
        return f"{self.resource_type} {self.holder_id} uses {self.mapping_id}"

    @property
    def resource_type(self) -> str:
        return "integration" if self.integration_id else "integration_point"

    @property
    def holder_id(self) -> str:
        return str(self.integration_id or self.point_id)
