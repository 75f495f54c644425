"""Roles over HTTP."""

from __future__ import annotations

from typing import Any

from core.errors import ForbiddenError
from core.filters import EnumFilter, ResourceFilterSet
from core.models import Resource
from core.views import ResourceViewSet
from identity.members.services import (
    has_administrator,
    lock_administrators,
    refuse_greater,
    refuse_without_administrator,
    spread_role,
)
from identity.permissionsets.sets import Permissions
from identity.roles.models import Role
from identity.roles.serializers import RoleDefinitionSerializer


class RoleFilterSet(ResourceFilterSet):
    permission_set = EnumFilter(Permissions)


class RoleViewSet(ResourceViewSet):
    """Roles: what members may do, and where. The built-in ones cannot be changed."""

    resource = "roles"
    serializer_class = RoleDefinitionSerializer
    filterset_class = RoleFilterSet
    lookup_url_kwarg = "role_id"
    totals = False

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        refuse_greater(by=self.principal, permission_set=serializer.validated_data["permission_set"])
        return super().perform_create(serializer)

    def locked(self) -> Role:
        lock_administrators()
        role: Role = super().locked()
        if role.is_builtin:
            raise ForbiddenError(f"{role.name!r} is built in: it can be neither changed nor deleted")
        return role

    def perform_update(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        refuse_greater(by=self.principal, permission_set=serializer.validated_data["permission_set"])
        had = has_administrator()
        role, content = super().perform_update(serializer)
        spread_role(role_id=role.id)
        refuse_without_administrator(had=had)
        return role, content
