"""Bridges over HTTP."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from accounts.models import Account
from core.filters import MembershipFilter, ResourceFilterSet
from core.listing import refuse_unknown
from core.reading import find
from core.views import ResourceViewSet
from integrations.bridges.agents import seen_lately
from integrations.bridges.credentials import issue_credential
from integrations.bridges.models import Bridge
from integrations.bridges.serializers import (
    BridgeSerializer,
    CreateBridgeResponseResultSerializer,
    GetBridgeStatusResponseSerializer,
)


class BridgeFilterSet(ResourceFilterSet):
    labels = MembershipFilter(field_name="label_rows__label")


class BridgeViewSet(ResourceViewSet):
    """Bridges: ways to providers in an account's own network, through an agent that dials out from there."""

    resource = "bridges"
    verbs = {"get_status": "status"}
    serializer_class = BridgeSerializer
    filterset_class = BridgeFilterSet
    results = {"create": CreateBridgeResponseResultSerializer}
    responses = {"get_status": GetBridgeStatusResponseSerializer}
    lookup_url_kwarg = "bridge_id"
    totals = False

    def fixed(self) -> dict[str, Any]:
        return {"account_id": find(Account, self.kwargs["account_id"]).id}

    def perform_create(self, serializer: Any) -> tuple[Bridge, dict[str, Any]]:
        bridge, content = super().perform_create(serializer)
        assert isinstance(bridge, Bridge)
        return bridge, {"result": {"bridge": content["result"], "credential": issue_credential(bridge=bridge)}}

    @action(detail=True, methods=["get"], url_path="status")
    def get_status(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Lists the agents of a bridge that were seen in the last minute, the longest running first."""
        refuse_unknown(request.GET, [])
        bridge = find(Bridge, self.identifier(), self.fixed())
        return self.json({"result": [agent.told for agent in seen_lately(bridge_id=bridge.id)]})
