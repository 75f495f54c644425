"""The organization over HTTP."""

from __future__ import annotations

from core.views import ResourceViewSet
from organizations.serializers import OrganizationSerializer


class OrganizationViewSet(ResourceViewSet):
    """The organization of the token."""

    resource = "organizations"
    serializer_class = OrganizationSerializer
    actions = ("retrieve", "update", "partial_update")
    singleton = True

    def identifier(self) -> str:
        return str(self.principal.organization_id)
