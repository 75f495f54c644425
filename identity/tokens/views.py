"""Tokens over HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from core.durations import parse_duration
from core.errors import InvalidError, Parameter
from core.filters import EnumFilter, IdFilter, InstantFilter, ResourceFilterSet
from core.listing import refuse_unknown
from core.reading import reader_of
from core.serializers import validated
from core.views import ResourceViewSet
from identity.permissionsets.sets import Permissions
from identity.tokens.models import Surface, Token, TokenOwnerType, TokenType
from identity.tokens.serializers import CreateTokenRequestSerializer, RefreshTokenSerializer
from identity.tokens.services import (
    ADHOC_TTL,
    IssuedToken,
    TokenSpec,
    delete_token,
    issue_token,
    refuse_wider,
    token_of,
)

MCP_TTL, LONGEST_MCP = "1h", dt.timedelta(hours=24)


class TokenFilterSet(ResourceFilterSet):
    owner_id = IdFilter()
    owner_type = EnumFilter(TokenOwnerType)
    member_id = IdFilter()
    token_type = EnumFilter(TokenType)
    expires = InstantFilter()


def shown_once(issued: IssuedToken) -> dict[str, Any]:
    """A new token with the text of its secrets."""
    shown = reader_of(RefreshTokenSerializer).plan.encode_instance(issued.token)
    for kind, text in issued.secrets.items():
        shown["primary"][kind]["secret"] = text
    return shown


class TokenViewSet(ResourceViewSet):
    """Bearer tokens of the organization and its integrations."""

    resource = "tokens"
    serializer_class = RefreshTokenSerializer
    filterset_class = TokenFilterSet
    orders = {name: name for name in ("name", "created_at", "expires", "id")}
    actions = ("list", "create", "destroy")
    verbs = {"info": "get"}
    lookup_url_kwarg = "refresh_token_id"
    operations = {"create": "create_token", "info": "get"}
    requests = {"create": CreateTokenRequestSerializer}
    examples = {
        "create": {
            "name": "reporting",
            "resources": {"accounts": {"ids": ["*"], "environments": ["prod"]}},
            "permission_set": "viewer",
            "token_ttl": "24h",
        }
    }
    totals = False

    @action(detail=True, methods=["get"])
    def info(self, request: Request, **kwargs: str) -> HttpResponse:
        """Shows one token, without its secrets."""
        return self.retrieve(request, **kwargs)

    def create(self, request: Request, **kwargs: str) -> HttpResponse:
        """Creates a token restricted to the given resources and permission set.

        The secrets are shown in this answer only. Rights can be reduced, never extended: the new token is
        further limited by the one that asks for it, and ends with it when that one is deleted.
        """
        refuse_unknown(request.query_params, [])
        asked = validated(CreateTokenRequestSerializer(data=self.body())).validated_data
        permission_set = asked["permission_set"]
        refuse_wider(principal=self.principal, permission_set=permission_set)
        mcp = permission_set in (Permissions.MCP_INTEGRATIONS_USE_ONLY, Permissions.MCP_MANAGEMENT)
        if mcp and (parse_duration(asked.get("token_ttl") or MCP_TTL) or LONGEST_MCP) > LONGEST_MCP:
            at = Parameter("body", "/token_ttl", asked["token_ttl"])
            raise InvalidError("/token_ttl: a token of the MCP surface works for at most 24h", at=at)
        spec = TokenSpec(
            permission_set=permission_set,
            resources=asked["resources"],
            ttl=asked.get("token_ttl") or (MCP_TTL if mcp else ADHOC_TTL),
            name=asked.get("name"),
            fullname=asked.get("fullname"),
            surface=Surface.MCP if mcp else Surface.MANAGEMENT,
        )
        with transaction.atomic():
            issued = issue_token(spec=spec, parent=token_of(principal=self.principal))
            self.record(object_id=issued.token.id)
        return self.json({"result": shown_once(issued)})

    def perform_destroy(self, instance: Token) -> None:
        delete_token(token=instance)
