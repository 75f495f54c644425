"""Custom providers over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from catalog.customs.definitions import read_schema
from catalog.customs.serializers import CreateCustomResponseSerializer, CustomSerializer
from core.listing import refuse_unknown
from core.models import Resource
from core.views import ResourceViewSet

EXAMPLE = """\
name: Help desk
base_url: https://{tags.site}.helpdesk.example/api
auth:
  token: {scheme: bearer}
tags:
  site: The first part of your address
operations:
  list_tickets:
    path: /tickets
    query: {since: '{input.since}'}
    response: /tickets
    pagination: {style: page, parameter: page}
check: list_tickets
"""


class CustomViewSet(ResourceViewSet):
    """Custom providers: services that your organization describes itself, to be connected like any other."""

    resource = "customs"
    verbs = {"show_schema": "get"}
    operations = {"show_schema": "get_schema"}
    serializer_class = CustomSerializer
    lookup_url_kwarg = "custom_id"
    responses = {
        "create": CreateCustomResponseSerializer,
        "show_schema": {"application/json": {"type": "object", "additionalProperties": {}}},
    }
    examples = {"create": {"name": "help-desk", "fullname": "Help desk", "data": EXAMPLE}}
    queries: ClassVar[dict[str, Any]] = {"show_schema": {}}

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        instance, content = super().perform_create(serializer)
        return instance, {"result": {"custom": content["result"]}}

    @action(detail=False, methods=["get"], url_path="schema")
    def show_schema(self, request: HttpRequest) -> HttpResponse:
        """Returns the JSON Schema (draft 2020-12) that definitions of custom providers follow."""
        refuse_unknown(request.GET, [])
        return self.json(read_schema())
