"""Mappings over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from catalog.mappings.evaluation import MappingFailedError
from catalog.mappings.models import Mapping, MappingVersion
from catalog.mappings.serializers import (
    ApplyMappingRequestBodySerializer,
    ApplyMappingResponseSerializer,
    CreateMappingResponseSerializer,
    MappingBaseSerializer,
    MappingSerializer,
    MappingVersionSerializer,
)
from catalog.mappings.services import Document, find_chain, find_version, locate
from core.instants import format_instant
from core.listing import read_boolean, refuse_unknown
from core.models import Resource
from core.preconditions import refuse_unless_matching
from core.reading import Reader, find, missing, reader_of
from core.references import refuse_while_used
from core.serializers import validated
from core.views import ResourceViewSet

RAW_DATA = "raw_data"
MOST_VERSIONS = 1000
EXAMPLE = "severity: $uppercase(priority)\ntitle: summary & ' (' & key & ')'\nlabels: '[tags.name]'\n"


class MappingViewSet(ResourceViewSet):
    """Mappings: JSONata documents that turn what a provider sends into what you want, and back."""

    resource = "mappings"
    verbs = {"apply": "apply", "list_versions": "get"}
    serializer_class = MappingSerializer
    lookup_url_kwarg = "mapping_id"
    requests = {"apply": ApplyMappingRequestBodySerializer}
    results = {"list": MappingBaseSerializer, "list_versions": MappingVersionSerializer}
    responses = {
        "create": CreateMappingResponseSerializer,
        "apply": ApplyMappingResponseSerializer,
        "list_versions": "ListMappingVersionsResponse",
    }
    queries = {
        "apply": {
            "include_raw_data": {
                "type": "boolean",
                "description": "Whether the output gets the input as well: as JSON text, in `raw_data`.",
            }
        },
        "list_versions": {},
    }
    raises = {"apply": (MappingFailedError,)}
    examples = {
        "create": {"name": "tickets", "fullname": "Tickets", "data": EXAMPLE},
        "apply": {"mappings": ["tickets", "titles:3"], "data": {"key": "A-1", "summary": "Leak", "priority": "high"}},
    }

    checked: Document | None = None  # that of a change, read before its lock

    @property
    def reader(self) -> Reader:
        return reader_of(MappingBaseSerializer if self.action == "list" else MappingSerializer)

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        instance, content = super().perform_create(serializer)
        return instance, {"result": {"mapping": content["result"]}}

    def change(self, body_of: Callable[[Any], Any]) -> HttpResponse:
        """Replaces a mapping, whose expressions are compiled before it is locked: on SQLite all writers would wait."""
        self.refuse_shared()
        before = find(Mapping, self.identifier())
        refuse_unless_matching(self.request.headers, self.tag(before))
        self.checked = self.valid_change(before, body_of).document
        return super().change(body_of)

    def perform_update(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        mapping = serializer.instance
        if serializer.validated_data["name"] != mapping.name:
            refuse_while_used(mapping)  # by that name
        return super().perform_update(serializer)

    def retrieve(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Returns one mapping, named by id or name. `name:version` returns it with the document of that version."""
        identifier = self.identifier()
        if ":" not in identifier:
            return super().retrieve(request, **kwargs)
        refuse_unknown(request.GET, [])
        located = locate(references=[identifier]).get(identifier)
        if located is None:
            raise missing(Mapping, identifier)
        shown = self.reader.one(located.mapping_id, {})
        return self.json({"result": shown | {"data": find_version(located=located).data}})

    @action(detail=True, methods=["get"], url_path="versions")
    def list_versions(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Lists the versions of one mapping, the newest first. Every save is one; at most 1000 are listed."""
        refuse_unknown(request.GET, [])
        mapping = find(Mapping, self.identifier())
        rows = MappingVersion.objects.filter(mapping=mapping).order_by("-version")
        shown = rows.values_list("version", "created_at")[:MOST_VERSIONS]
        return self.json({"result": [{"version": v, "created_at": format_instant(at)} for v, at in shown]})

    @action(detail=False, methods=["post"])
    def apply(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Applies mappings to an object: each one's output is the next one's input.

        Nothing is stored. A chain may take half a second of processor time and 64 MiB.
        """
        refuse_unknown(request.GET, ["include_raw_data"])
        wants_input = read_boolean(request.GET, "include_raw_data")
        asked = validated(ApplyMappingRequestBodySerializer(data=self.body())).validated_data
        output = find_chain(references=asked["mappings"]).apply(asked["data"])
        if wants_input:
            output = output | {RAW_DATA: orjson.dumps(asked["data"]).decode()}
        return self.json({"result": {"mapping": output}})
