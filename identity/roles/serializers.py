"""Roles on the wire."""

from __future__ import annotations

from core.fields import EnumField, StringField
from core.serializers import ResourceSerializer
from identity.permissionsets.serializers import ResourcesSerializer
from identity.permissionsets.sets import Permissions
from identity.roles.models import Role


class RoleDefinitionSerializer(ResourceSerializer):
    """A permission set and where it holds, to give to members."""

    description = StringField(required=False, max_length=1024, help_text="What the role is for.")
    resources = ResourcesSerializer(required=False, help_text="Where it holds; everywhere if not given.")
    permission_set = EnumField(Permissions, help_text="What it allows there.")

    class Meta(ResourceSerializer.Meta):
        model = Role
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "description", "resources", "permission_set",
        )  # fmt: skip
        optional = ("description", "resources")
