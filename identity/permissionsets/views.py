"""Permission sets over HTTP: the same for every organization."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from core.errors import NotFoundError
from core.listing import refuse_unknown
from core.views import ScopedViewSet
from identity.permissionsets.serializers import MAPPED, PermissionSetSerializer
from identity.permissionsets.sets import DESCRIPTIONS, PERMISSION_SETS, RESTRICTABLE


def show_permission_set(name: str) -> dict[str, Any]:
    """A permission set as the contract shows it. What every set may read, such as the catalog, it does not name."""
    verbs = PERMISSION_SETS[name]
    return {
        "name": name,
        "description": DESCRIPTIONS[name],
        "resource_restrictions": list(RESTRICTABLE[name]),
        "permissions": {resource: {"actions": sorted(verbs[resource])} for resource in MAPPED if resource in verbs},
    }


class PermissionSetViewSet(ScopedViewSet):
    """What roles and tokens can allow."""

    resource = "permission_set"
    group = "permissionset"
    actions = ("list", "retrieve")
    lookup_url_kwarg = "permissionset_id"
    results = {"list": PermissionSetSerializer, "retrieve": PermissionSetSerializer}
    queries: dict[str, Any] = {"list": {}}

    def list(self, request: HttpRequest) -> HttpResponse:
        """Lists all permission sets."""
        refuse_unknown(request.GET, [])
        return self.json({"result": [show_permission_set(name) for name in sorted(PERMISSION_SETS)]})

    def retrieve(self, request: HttpRequest, permissionset_id: str) -> HttpResponse:
        """Shows one permission set by its name."""
        refuse_unknown(request.GET, [])
        if permissionset_id not in PERMISSION_SETS:
            raise NotFoundError(f"there is no permission set {permissionset_id[:200]!r}")
        return self.json({"result": show_permission_set(permissionset_id)})
