"""Accounts over HTTP."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from accounts.models import Account, Environment
from accounts.serializers import (
    AccountSerializer,
    CreateAccountResponseResultSerializer,
    CreateSynqlyIntegrationsTokenRequestSerializer,
    SynqlyIntegrationsTokenResponseSerializer,
)
from accounts.services import find_own_account
from core.endings import end_what_depends
from core.errors import ForbiddenError
from core.filters import EnumFilter, IdFilter, MembershipFilter, ResourceFilterSet
from core.listing import refuse_unknown
from core.serializers import validated
from core.views import ResourceViewSet, ScopedViewSet
from identity.permissionsets.sets import Permissions
from identity.tokens.services import ADHOC_TTL, TokenSpec, issue_token, refuse_wider, token_of
from identity.tokens.views import shown_once


class AccountFilterSet(ResourceFilterSet):
    organization_id = IdFilter()
    environment = EnumFilter(Environment)
    labels = MembershipFilter(field_name="label_rows__label")


class AccountViewSet(ResourceViewSet):
    """Accounts: your customers, the tenants that own integrations and credentials."""

    resource = "accounts"
    serializer_class = AccountSerializer
    filterset_class = AccountFilterSet
    lookup_url_kwarg = "account_id"
    results = {"create": CreateAccountResponseResultSerializer}

    def perform_create(self, serializer: Any) -> tuple[Account, dict[str, Any]]:
        asked = serializer.validated_data.get("token")
        if asked and not self.principal.allows("tokens", "provision"):
            raise ForbiddenError("the token does not grant 'provision' on 'tokens', which a `token` block needs")
        account: Account = serializer.save()
        result: dict[str, Any] = {"account": self.reader.plan.encode_instance(account)}
        if asked:
            spec = TokenSpec(
                permission_set=asked["permission_set"],
                resources={"accounts": {"ids": [account.id]}},
                ttl=asked.get("token_ttl") or ADHOC_TTL,
                name=asked.get("name"),
                fullname=asked.get("fullname"),
                account_id=account.id,
                networks=asked.get("allowed_networks"),
                name_at="/token/name",
            )
            result["token"] = shown_once(issue_token(spec=spec, within=token_of(principal=self.principal)))
        return account, {"result": result}

    def perform_destroy(self, instance: Account) -> None:
        end_what_depends(instance)
        instance.delete()


class SynqlyIntegrationsTokenViewSet(ScopedViewSet):
    """Tokens for the integrations that the organization has of its own."""

    resource = "tokens"
    verbs = {"create_synqly_integrations_token": "create_synqly_integrations"}
    requests = {"create_synqly_integrations_token": CreateSynqlyIntegrationsTokenRequestSerializer}
    optional_bodies = ("create_synqly_integrations_token",)
    results = {"create_synqly_integrations_token": SynqlyIntegrationsTokenResponseSerializer}

    @action(detail=False, methods=["post"], url_path="synqly-integrations")
    def create_synqly_integrations_token(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Creates a token for the integrations of the organization itself.

        They belong to an account named `synqly-integrations`, which the first such token makes. The token manages
        that account alone. Its secrets are shown in this answer only.
        """
        refuse_unknown(request.GET, [])
        data = self.body() if self.has_body() else {}
        asked = validated(CreateSynqlyIntegrationsTokenRequestSerializer(data=data)).validated_data
        refuse_wider(principal=self.principal, permission_set=Permissions.ACCOUNT_MANAGER)
        with transaction.atomic():
            parent = token_of(principal=self.principal)  # locked before the organization, as wherever tokens are made
            account = find_own_account()
            spec = TokenSpec(
                permission_set=Permissions.ACCOUNT_MANAGER,
                resources={"accounts": {"ids": [account.id]}},
                ttl=asked.get("token_ttl") or ADHOC_TTL,
                account_id=account.id,
                networks=asked.get("allowed_networks"),
            )
            issued = issue_token(spec=spec, parent=parent)
            content = {"result": {"account_id": account.id, "token": shown_once(issued)}}
            self.record(subject=issued.token, answer=content)
        return self.json(content)
