"""Integration points over HTTP."""

from __future__ import annotations

from catalog.registry import list_connectors
from core.filters import EnumFilter, ResourceFilterSet
from core.views import ResourceViewSet
from credentials.models import OwnerType
from credentials.services import delete_owned
from integrations.points.models import IntegrationPoint
from integrations.points.serializers import IntegrationPointSerializer


class IntegrationPointFilterSet(ResourceFilterSet):
    connector = EnumFilter([connector.id for connector in list_connectors()])


class IntegrationPointViewSet(ResourceViewSet):
    """Integration points: which providers may be connected where in your product, and with which templates."""

    resource = "integration_points"
    serializer_class = IntegrationPointSerializer
    filterset_class = IntegrationPointFilterSet
    orders = {**ResourceViewSet.orders, "connector": "connector"}
    lookup_url_kwarg = "integration_point_id"

    def perform_destroy(self, instance: IntegrationPoint) -> None:
        owner_id = instance.id
        instance.delete()
        delete_owned(owner_type=OwnerType.INTEGRATION_POINT, owner_id=owner_id)
