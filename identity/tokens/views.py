"""Tokens over HTTP."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core.columns import fold
from core.filters import EnumFilter, IdFilter, InstantFilter, ResourceFilterSet
from core.listing import refuse_unknown
from core.reading import find, reader_of
from core.references import find_owner
from core.serializers import validated
from core.views import ResourceViewSet, ScopedViewSet, enter_for_change
from identity.members.services import organization_in_scope
from identity.permissionsets.sets import MCP_SETS
from identity.tokens.authentication import RefreshAuthentication
from identity.tokens.models import Surface, Token, TokenOwnerType, TokenType
from identity.tokens.renewal import (
    ReplacedSecretError,
    ReusedSecretError,
    refresh_token,
    refuse_revealing,
    refuse_stronger,
    remove_secondary,
    renew_token,
)
from identity.tokens.serializers import CreateTokenRequestSerializer, RefreshTokenSerializer
from identity.tokens.services import (
    ADHOC_TTL,
    MCP_TTL,
    IssuedToken,
    TokenSpec,
    delete_token,
    issue_token,
    refuse_wider,
    token_of,
)


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
    verbs = {"info": "get", "remove_secondary": "remove_secondary"}
    lookup_url_kwarg = "refresh_token_id"
    operations = {"create": "create_token", "info": "get"}
    requests = {"create": CreateTokenRequestSerializer}
    examples = {
        "create": {
            "name": "reporting",
            "resources": {"accounts": {"ids": ["*"], "environments": ["prod"]}},
            "permission_set": "viewer",
            "token_ttl": "24h",
            "allowed_networks": ["203.0.113.0/24"],
        }
    }
    totals = False
    unconditional = ("info",)  # it shows the last use

    @action(detail=True, methods=["get"])
    def info(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Shows one token, without its secrets."""
        return self.retrieve(request, **kwargs)

    def create(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Creates a token restricted to the given resources and permission set.

        The secrets are shown in this answer only. Rights can be reduced, never extended: the new token is
        further limited by the one that asks for it, and ends with it when that one is deleted.
        """
        refuse_unknown(request.GET, [])
        asked = validated(CreateTokenRequestSerializer(data=self.body())).validated_data
        permission_set = asked["permission_set"]
        refuse_wider(principal=self.principal, permission_set=permission_set)
        mcp = permission_set in MCP_SETS
        spec = TokenSpec(
            permission_set=permission_set,
            resources=asked["resources"],
            ttl=asked.get("token_ttl") or (MCP_TTL if mcp else ADHOC_TTL),
            name=asked.get("name"),
            fullname=asked.get("fullname"),
            networks=asked.get("allowed_networks"),
            surface=Surface.MCP if mcp else Surface.MANAGEMENT,
        )
        with transaction.atomic():
            issued = issue_token(spec=spec, parent=token_of(principal=self.principal))
            content = {"result": shown_once(issued)}
            self.record(subject=issued.token, answer=content)
        return self.json(content)

    def perform_destroy(self, instance: Token) -> None:
        refuse_stronger(token=instance, by=self.principal)
        delete_token(token=instance)

    @action(detail=True, methods=["delete"], url_path="secondary")
    def remove_secondary(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Ends the secondary pair of a token, once its primary pair is in use everywhere.

        Without a secondary pair there is nothing to do, and the answer is the same.
        """
        refuse_unknown(request.GET, [])
        with transaction.atomic():
            token = self.locked()
            refuse_stronger(token=token, by=self.principal)
            remove_secondary(token=token)
            self.record(subject=token)
        return HttpResponse(status=204)


class TokenRenewalViewSet(ScopedViewSet):
    """New secrets for a token of yours."""

    resource = "tokens"
    noun = "token"
    verbs = {"rotate": "rotate", "reset": "reset"}
    results = {"rotate": RefreshTokenSerializer, "reset": RefreshTokenSerializer}

    @action(detail=False, methods=["put"], url_path="<str:owner_id>/<str:refresh_token_id>/rotate")
    def rotate(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Gives a token a new primary pair of secrets and keeps the one before as its secondary.

        The pair that was the secondary is dropped. The new secrets are shown in this answer only. The token that
        asks must grant all that the rotated one does; a member's token is rotated by that member only.
        """
        return self.renewed(request, keep=True)

    @action(detail=False, methods=["put"], url_path="<str:owner_id>/<str:refresh_token_id>/reset")
    def reset(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Gives a token a new primary pair of secrets and ends all it had before, at once.

        The new secrets are shown in this answer only. The token that asks must grant all that the reset one does;
        a member's token is reset by that member only.
        """
        return self.renewed(request, keep=False)

    def renewed(self, request: HttpRequest, *, keep: bool) -> HttpResponse:
        refuse_unknown(request.GET, [])
        enter_for_change(Token)
        with transaction.atomic():
            token = find(Token, self.kwargs["refresh_token_id"], {"owner_id": self.owner_id()}, lock=True)
            refuse_revealing(token=token, by=self.principal)
            issued = renew_token(token=token, keep=keep)
            self.record(subject=token)
        return self.json({"result": shown_once(issued)})

    def addressed(self) -> Any:
        return find(Token, self.kwargs["refresh_token_id"])

    def owner_id(self) -> str | None:
        """The id of the organization or the integration that the address names."""
        identifier, organization = fold(self.kwargs["owner_id"]), organization_in_scope()
        if identifier in (organization.id, organization.name):
            return organization.id
        owner = find_owner(identifier, ["integration"])
        return owner.id if owner else None


class TokenRefreshViewSet(ScopedViewSet):
    """New secrets for whoever holds the refresh secret."""

    resource = "tokens"
    noun = "token"
    lookup_url_kwarg, lookup_value_converter = "refresh_token_id", "str"
    verbs = {"refresh": "refresh"}
    results = {"refresh": RefreshTokenSerializer}
    raises = {"refresh": (ReplacedSecretError, ReusedSecretError)}

    def addressed(self) -> Any:
        return find(Token, self.kwargs["refresh_token_id"])

    def get_authenticators(self) -> list[Any]:
        return [RefreshAuthentication()] if self.action == "refresh" else super().get_authenticators()

    @action(detail=True, methods=["put"])
    def refresh(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Gives a token a new primary pair, for its refresh secret as the bearer.

        The pair before becomes the secondary: its access secret works on until it expires or the next refresh, its
        refresh secret is used up. The pair that was the secondary is dropped; whoever uses a dropped refresh secret
        ends the token and all that was derived from it, since then somebody has kept a copy.
        """
        refuse_unknown(request.GET, [])
        reused = ReusedSecretError("the refresh secret was dropped before, so the token is deleted")
        with transaction.atomic():
            token = find(Token, self.kwargs["refresh_token_id"], {"id": self.principal.token_id}, lock=True)
            issued = refresh_token(token=token, public_id=self.principal.secret_id)
            self.record(None if issued else reused, subject=token)
        if issued is None:
            raise reused  # only now: the deletion is to stay
        return self.json({"result": shown_once(issued)})
