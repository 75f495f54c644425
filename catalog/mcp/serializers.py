"""Tokens of the MCP surface on the wire: what each opens there."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ValidationError

from catalog.registry import list_connectors
from core.durations import DurationField
from core.fields import EnumField, IdField, ListField
from core.references import absent
from core.serializers import StrictSerializer
from core.unions import UnionField
from identity.permissionsets.serializers import ENVIRONMENTS
from identity.tokens.networks import NetworksField
from identity.tokens.services import LONGEST_MCP

OPERATIONS = sorted(operation for connector in list_connectors() for operation in connector.operations)


class AccountIdField(IdField):
    """The id of an account that the caller sees."""

    def to_internal_value(self, data: Any) -> str:
        account_id = super().to_internal_value(data)
        if absent("account", [account_id]):
            raise ValidationError("does not exist")
        return account_id


class McpManagementScopeSerializer(StrictSerializer):
    """The management of the organization, or of a part of it."""

    type = EnumField(["management"], help_text="`management`")
    environment = EnumField(ENVIRONMENTS, required=False, help_text="Only accounts in this environment.")
    account_id = AccountIdField(required=False, help_text="Only this account, whatever `environment` says.")


class McpIntegrationUsageScopeSerializer(StrictSerializer):
    """The use of an account's integrations."""

    type = EnumField(["integration-usage"], help_text="`integration-usage`")
    account_id = AccountIdField(help_text="The account.")
    restrict_to_connector_operations = ListField(
        child=EnumField(OPERATIONS, error_messages={"invalid_choice": "is no operation of a connector"}),
        required=False,
        min_length=1,
        max_length=len(OPERATIONS),
        help_text="Only the tools of these operations; all of them if not given.",
    )


class McpDeveloperScopeSerializer(StrictSerializer):
    """The making and the use of an account's integrations."""

    type = EnumField(["developer"], help_text="`developer`")
    account_id = AccountIdField(help_text="The account.")


class CreateMcpTokenRequestSerializer(StrictSerializer):
    """A new token of the MCP surface."""

    token_ttl = DurationField(
        most=LONGEST_MCP, required=False, help_text="How long the token works: at most 24 hours, 1 hour if not given."
    )
    scope = UnionField(
        name="McpTokenScope",
        forms={
            "management": McpManagementScopeSerializer,
            "integration-usage": McpIntegrationUsageScopeSerializer,
            "developer": McpDeveloperScopeSerializer,
        },
        help_text="What the token opens.",
    )
    allowed_networks = NetworksField()
