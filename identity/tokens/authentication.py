"""From a bearer token to a principal: one look-up, one comparison in constant time."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.columns import IdColumn, InstantColumn, TextColumn, format_instant
from core.crypto.hashing import keyed_hash, same
from core.errors import OrganizationDisabledError, UnauthenticatedError
from core.permissions import Principal
from core.plan import WireText
from core.prepared import Slot, prepared
from core.tenancy import Scope
from identity.tokens.models import TokenSecret
from identity.tokens.rights import rights_of
from identity.tokens.secrets import public_id_of
from organizations.models import is_blocked

_UNUSABLE = "the access token is not valid: unknown, expired or deleted"


def _secret_row() -> QuerySet[Any, Any]:
    return TokenSecret._base_manager.filter(public_id=Slot("public_id", TextColumn()), kind="access").values_list(
        "digest",
        WireText("expires", InstantColumn),
        WireText("token_id", IdColumn),
        WireText("organization_id", IdColumn),
        WireText("token__member_id", IdColumn),
        "token__surface",
        "token__grants",
        "organization__state",
        "organization__end_date",
    )


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer <access secret>`."""

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

    def authenticate(self, request: Request) -> tuple[Principal, None] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError("the Authorization header is not a bearer token")
        public_id = public_id_of(text.strip())
        if public_id is None:
            raise UnauthenticatedError(_UNUSABLE)
        return self.principal(public_id, text.strip()), None

    @staticmethod
    def principal(public_id: str, text: str) -> Principal:
        rows = prepared("token", _secret_row).rows(public_id=public_id)
        digest = keyed_hash(text)
        if not rows or not same(bytes(rows[0][0]), digest):
            raise UnauthenticatedError(_UNUSABLE)
        _, expires, token_id, organization_id, member_id, surface, grants, state, end_date = rows[0]
        now = format_instant(dt.datetime.now(dt.UTC))
        if expires <= now:
            raise UnauthenticatedError(_UNUSABLE)
        if is_blocked(state, end_date, now[:10]):
            raise OrganizationDisabledError("the organization is disabled")
        sets, narrowing = rights_of(grants)
        return Principal(
            token_id=token_id,
            scope=Scope(organization_id, narrowing),
            grants=sets,
            surface=surface,
            member_id=member_id or "",
        )
