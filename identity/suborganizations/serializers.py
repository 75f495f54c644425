"""Sub-organizations on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.serializers import in_mode
from identity.members.serializers import MemberSerializer
from identity.suborganizations.models import SubOrganization
from identity.tokens.serializers import TokenPairSerializer
from organizations.serializers import OrganizationSerializer


class SubOrganizationSerializer(OrganizationSerializer):
    """An organization below yours, with everything of its own: accounts, integrations, members, keys."""

    member = in_mode(MemberSerializer, "create")(
        required=False, write_only=True, help_text="Its first member: an administrator if no roles are given."
    )

    class Meta(OrganizationSerializer.Meta):
        model = SubOrganization
        fields = (*OrganizationSerializer.Meta.fields, "member")  # type: ignore[assignment]
        create_only = ("member",)
        update_only = ("options",)


CreateOrganizationRequestSerializer: Any = type(
    "CreateOrganizationRequestSerializer",
    (in_mode(SubOrganizationSerializer, "create"),),
    {"__doc__": "A new organization below yours, and its first member."},
)


class CreateOrganizationResponseResultSerializer(serializers.Serializer[Any]):
    """The new organization, its first member and its first token."""

    member = MemberSerializer(required=False, help_text="Its first member, if one was asked for.")
    organization = OrganizationSerializer(help_text="The organization.")
    token = TokenPairSerializer(help_text="An administrator token of it; its secrets are not shown again.")
