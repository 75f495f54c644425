"""Accounts over HTTP."""

from __future__ import annotations

from typing import Any

from accounts.models import Account, Environment
from accounts.serializers import AccountSerializer, CreateAccountResponseResultSerializer
from core.errors import ForbiddenError
from core.filters import EnumFilter, IdFilter, MembershipFilter, ResourceFilterSet
from core.views import ResourceViewSet
from identity.tokens.services import ADHOC_TTL, TokenSpec, issue_token, token_of
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
                name_at="/token/name",
            )
            result["token"] = shown_once(issue_token(spec=spec, within=token_of(principal=self.principal)))
        return account, {"result": result}
