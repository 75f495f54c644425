"""Tokens on the wire."""

from __future__ import annotations

from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.durations import DurationField, duration_of
from core.fields import (
    ComputedField,
    EnumField,
    IdField,
    InstantField,
    JsonObjectField,
    ListField,
    NewNameField,
    StringField,
)
from core.serializers import ResourceSerializer, StrictSerializer
from identity.permissionsets.serializers import AdhocRoleSerializer, ResourcesSerializer
from identity.permissionsets.sets import ANY, MCP_SETS, PROVISIONABLE, Permissions
from identity.tokens.models import Token
from identity.tokens.networks import NetworksField
from identity.tokens.secrets import masked
from identity.tokens.services import LONGEST_MCP, MCP_TTL


class PermissionSerializer(serializers.Serializer[Any]):
    """Whose a token is and what it grants."""

    role_binding = ListField(child=StringField(), required=False, help_text="Roles the token is bound to.")
    adhoc_role = AdhocRoleSerializer(required=False, help_text="The token's own grant.")
    resource_id = StringField(help_text="Id of the object the token belongs to.")
    resource_type = StringField(help_text="`organization` or `integration`.")
    parent_id = StringField(help_text="Id of the token this one was derived from; empty when there is none.")
    id = IdField(help_text="Id of the token.")
    organization_id = IdField(help_text="Id of the token's organization.")
    root_organization_id = StringField(required=False, help_text="Id of the organization above, if there is one.")
    member_id = StringField(help_text="Id of the member who acts through the token; empty when there is none.")


class TokenSerializer(serializers.Serializer[Any]):
    """One secret of a token. Its text is shown once, when it is made; later reads show `sqm_<public id>_***`."""

    secret = StringField(help_text="The bearer secret.")
    expires = InstantField(help_text="When it stops working.")
    permissions = PermissionSerializer(help_text="What it grants.")
    claims = JsonObjectField(
        required=False,
        help_text="What else is known: `allowed_networks`, `last_used_at` (to ten minutes) and `last_used_from` of "
        "the token; for a token of the MCP surface its `scope` and `restrict_to_connector_operations`.",
    )


class TokenPairSerializer(serializers.Serializer[Any]):
    """An access secret and the refresh secret that renews it."""

    access = TokenSerializer(help_text="Sent as the bearer token of requests.")
    refresh = TokenSerializer(help_text="Sent as the bearer token of the refresh operation only.")


_SHOWN = ("resources", "permission_set")  # of a stored grant


@extend_schema_field(TokenPairSerializer)
class PairField(ComputedField):
    """A pair without its secrets."""

    columns = (
        "pairs", "grants", "id", "organization_id", "owner_id", "owner_type", "parent_id", "member_id", "claims",
        "networks", "used_at", "used_from", "organization__parent_id",
    )  # fmt: skip

    def __init__(self, slot: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slot = slot

    def encode(self, *values: Any) -> Any:
        pairs, grants, token_id, organization_id, owner_id, owner_type, parent_id, member_id, *more, root_id = values
        pair = orjson.loads(pairs).get(self.slot)
        if pair is None:
            return None
        ((own, *_), *_) = orjson.loads(grants) or [[{"permission_set": None}]]
        permissions = {
            **({"adhoc_role": {name: own[name] for name in _SHOWN}} if own["permission_set"] else {}),
            "resource_id": owner_id,
            "resource_type": owner_type,
            "parent_id": parent_id or "",
            "id": token_id,
            "organization_id": organization_id,
            **({"root_organization_id": root_id} if root_id else {}),
            "member_id": member_id or "",
        }
        shared = {"permissions": permissions, **claims_of(*more)}
        return {
            kind: {"secret": masked(secret["id"]), "expires": secret["expires"], **shared}
            for kind, secret in pair.items()
        }


def claims_of(claims: str, networks: str | None, used_at: str | None, used_from: str | None) -> dict[str, Any]:
    """The member `claims`, if there is anything to say in it."""
    shown = orjson.loads(claims)
    if networks is not None:
        shown["allowed_networks"] = orjson.loads(networks)
    if used_at is not None:
        shown |= {"last_used_at": used_at, "last_used_from": used_from}
    return {"claims": shown} if shown else {}


class RefreshTokenSerializer(ResourceSerializer):
    """A token: a primary and sometimes a secondary pair of secrets."""

    primary = PairField("primary", help_text="The pair in use.")
    secondary = PairField(
        "secondary", help_text="The pair before the last refresh or rotation; its access secret is still good."
    )

    class Meta(ResourceSerializer.Meta):
        model = Token
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "member_id", "owner_id", "owner_type", "expires",
            "token_ttl", "token_type", "primary", "secondary",
        )  # fmt: skip
        optional = ("member_id", "secondary")


class ProvisionedTokenRequestSerializer(StrictSerializer):
    """A token for the account being created, scoped to it by the server."""

    permission_set = EnumField(PROVISIONABLE, help_text="What the token may do within the account.")
    token_ttl = DurationField(required=False, help_text="How long the token works. 24 hours if not given.")
    name = NewNameField(
        reserved=Token.reserved_names,
        required=False,
        help_text="Unique short name of the token; its id if not given.",
    )
    fullname = StringField(required=False, help_text="Display name of the token.")
    allowed_networks = NetworksField()


class CreateTokenRequestSerializer(StrictSerializer):
    """A new token, never with more rights than the one that asks for it."""

    name = NewNameField(
        reserved=Token.reserved_names,
        required=False,
        help_text="Unique short name; made from `fullname`, or the id, if not given.",
    )
    fullname = StringField(required=False, help_text="Display name; the name if not given.")
    resources = ResourcesSerializer(help_text="The part of the organization the token is good for.")
    permission_set = EnumField(Permissions, help_text="What the token may do there.")
    token_ttl = DurationField(required=False, help_text="How long the token works. 24 hours if not given.")
    allowed_networks = NetworksField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Tokens of the MCP surface are as those of `POST /v1/tokens/mcp`."""
        ttl = attrs.get("token_ttl") or MCP_TTL
        if attrs["permission_set"] in MCP_SETS and duration_of(ttl) > duration_of(LONGEST_MCP):
            raise ValidationError({"token_ttl": [f"must be at most {LONGEST_MCP} for {attrs['permission_set']!r}"]})
        ids = attrs["resources"].get("accounts", {}).get("ids", [])
        if attrs["permission_set"] == Permissions.MCP_INTEGRATIONS_USE_ONLY and (len(ids) != 1 or ANY in ids):
            wrong = {"ids": [f"must be the id of one account for {attrs['permission_set']!r}"]}
            raise ValidationError({"resources": {"accounts": wrong}})
        return attrs
