"""Tokens of the MCP surface over HTTP."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from catalog.mcp.serializers import CreateMcpTokenRequestSerializer
from core.errors import ForbiddenError
from core.listing import refuse_unknown
from core.serializers import validated
from core.views import ScopedViewSet
from identity.permissionsets.sets import Permissions
from identity.tokens.models import Surface
from identity.tokens.serializers import TokenSerializer
from identity.tokens.services import MCP_TTL, TokenSpec, issue_token, token_of
from identity.tokens.views import shown_once

PERMISSION_SETS = {
    "management": Permissions.MCP_MANAGEMENT,
    "integration-usage": Permissions.MCP_INTEGRATIONS_USE_ONLY,
    "developer": Permissions.MCP_MANAGEMENT,
}
VERBS = {"developer": ("developer", "integration-usage")}  # of a scope that is less than its permission set


def resources_of(scope: dict[str, Any]) -> dict[str, Any]:
    """The part of the organization that a scope opens."""
    if "account_id" in scope:
        return {"accounts": {"ids": [scope["account_id"]]}}
    if "environment" in scope:
        return {"accounts": {"ids": ["*"], "environments": [scope["environment"]]}}
    return {}


def claims_of(scope: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a scope beside its resources."""
    operations = scope.get("restrict_to_connector_operations")
    return {"scope": scope["type"], **({"restrict_to_connector_operations": operations} if operations else {})}


class McpTokenViewSet(ScopedViewSet):
    """Tokens for clients of the Model Context Protocol."""

    resource = "tokens"
    verbs = {"create_mcp_token": "create"}
    requests = {"create_mcp_token": CreateMcpTokenRequestSerializer}
    results = {"create_mcp_token": TokenSerializer}

    @action(detail=False, methods=["post"], url_path="mcp")
    def create_mcp_token(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Creates a short-lived token for a client of the Model Context Protocol. It opens no other API.

        The token is further limited by the one that asks for it, and ends with it when that one is deleted.
        """
        refuse_unknown(request.GET, [])
        asked = validated(CreateMcpTokenRequestSerializer(data=self.body())).validated_data
        scope = asked["scope"]
        if not self.principal.allows("mcp", scope["type"]):
            raise ForbiddenError(f"the token does not grant {scope['type']!r} on 'mcp'")
        spec = TokenSpec(
            permission_set=PERMISSION_SETS[scope["type"]],
            resources=resources_of(scope),
            verbs=VERBS.get(scope["type"], ()),
            ttl=asked.get("token_ttl") or MCP_TTL,
            surface=Surface.MCP,
            networks=asked.get("allowed_networks"),
            claims=claims_of(scope),
        )
        with transaction.atomic():
            issued = issue_token(spec=spec, parent=token_of(principal=self.principal))
            content = {"result": shown_once(issued)["primary"]["access"]}
            self.record(subject=issued.token, answer=content)
        return self.json(content)
