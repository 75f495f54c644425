"""The catalog over HTTP: the same for every organization, and what each has added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from catalog.customs.models import Custom
from catalog.customs.providers import CONNECTOR, provider_of
from catalog.customs.services import find_custom, list_customs
from catalog.registry import Connector, Provider, get_connector, get_provider, list_connectors, list_providers
from catalog.serializers import ConnectorSerializer, ProviderCapabilitiesSerializer
from core.errors import NotFoundError
from core.listing import read_choices, refuse_unknown
from core.views import ScopedViewSet

OF_CONNECTORS = ("providers",)
OF_PROVIDERS = ("connector", "operations", "provider_config")
OF_PROVIDER = ("connector", "operations", "request_body", "provider_config")


def describe_expand(choices: tuple[str, ...]) -> dict[str, Any]:
    """The query parameter `expand`, for the API docs."""
    items = {"type": "string", "enum": list(choices)}
    return {"expand": {"type": "array", "items": items, "description": "What to show in full."}}


def show_connector(connector: Connector, customs: Sequence[Custom], expand: tuple[str, ...] = ()) -> dict[str, Any]:
    """A connector, with its providers if asked. `customs` are the organization's own."""
    own = customs if connector.id == CONNECTOR else ()
    shown: dict[str, Any] = {
        "id": connector.id,
        "name": connector.id,
        "fullname": connector.fullname,
        "description": connector.description,
        "provider_ids": [*connector.provider_ids, *(custom.id for custom in own)],
        "connector": connector.id,
        "release": {"availability": connector.availability},
    }
    if "providers" in expand:
        members = [show_base(p) for p in list_providers() if p.connector_id == connector.id]
        shown["providers"] = members + [show_custom(custom) for custom in own]
    return shown


def show_base(provider: Provider, expand: tuple[str, ...] = ()) -> dict[str, Any]:
    """A provider without its connector."""
    shown: dict[str, Any] = {
        "id": provider.id,
        "name": provider.id,
        "fullname": provider.fullname,
        "vendor": provider.vendor,
        "description": provider.description,
        "connector_id": provider.connector_id,
        "release": {"availability": provider.availability, "environments": provider.environments},
    }
    if "provider_config" in expand:
        shown["provider_config"] = provider.schema
    if "operations" in expand and (connector := get_connector(provider.connector_id)) is not None:
        # No connector API is served yet, so no provider supports an operation of one.
        shown["operations"] = [{"id": o, "name": o, "supported": False} for o in connector.operations]
    return shown


def show_custom(custom: Custom, expand: tuple[str, ...] = ()) -> dict[str, Any]:
    """A custom provider without its connector. Its id is no `type`: its configuration's `custom_id` is it."""
    return {**show_base(provider_of(custom), expand), "id": custom.id, "name": custom.name}


def with_connector(shown: dict[str, Any], expand: tuple[str, ...], customs: Sequence[Custom]) -> dict[str, Any]:
    """A provider with its connector: its id or, if asked, the whole of it."""
    connector = get_connector(shown["connector_id"])
    whole = connector is not None and "connector" in expand
    return {
        **shown,
        "connector": show_connector(connector, customs) if whole and connector else shown["connector_id"],
    }


class CapabilitiesViewSet(ScopedViewSet):
    """What can be connected: the connectors, and the providers of each."""

    resource = "capabilities"
    verbs = {"list_connectors": "list", "list_providers": "list", "get_provider": "get"}
    results = {
        "list_connectors": ConnectorSerializer,
        "list_providers": ProviderCapabilitiesSerializer,
        "get_provider": ProviderCapabilitiesSerializer,
    }
    responses = {
        "list_connectors": "ListConnectorsCapabilitiesResponse",
        "list_providers": "ListProvidersCapabilitiesResponse",
        "get_provider": "ProviderCapabilitiesResponse",
    }
    queries = {
        "list_connectors": describe_expand(OF_CONNECTORS),
        "list_providers": describe_expand(OF_PROVIDERS),
        "get_provider": describe_expand(OF_PROVIDER),
    }

    def expand(self, request: HttpRequest, choices: tuple[str, ...]) -> tuple[str, ...]:
        refuse_unknown(request.GET, ["expand"])
        return read_choices(request.GET, "expand", choices)

    @action(detail=False, methods=["get"], url_path="connectors")
    def list_connectors(self, request: HttpRequest) -> HttpResponse:
        """Lists all connectors. `expand=providers` adds the providers of each."""
        expand, customs = self.expand(request, OF_CONNECTORS), list_customs()
        return self.json({"result": [show_connector(connector, customs, expand) for connector in list_connectors()]})

    @action(detail=False, methods=["get"], url_path="providers")
    def list_providers(self, request: HttpRequest) -> HttpResponse:
        """Lists all providers. `expand` adds the connector, the operations or the configuration's JSON Schema.

        The custom providers of your organization follow at the end, by their ids.
        """
        expand, customs = self.expand(request, OF_PROVIDERS), list_customs()
        shown = [show_base(provider, expand) for provider in list_providers()]
        shown += [show_custom(custom, expand) for custom in customs]
        return self.json({"result": [with_connector(each, expand, customs) for each in shown]})

    @action(detail=False, methods=["get"], url_path="providers/<str:provider_id>")
    def get_provider(self, request: HttpRequest, provider_id: str) -> HttpResponse:
        """Shows one provider by the `type` of its configuration, or a custom provider by its id or name."""
        expand = self.expand(request, OF_PROVIDER)
        if (provider := get_provider(provider_id)) is not None:
            shown = show_base(provider, expand)
        elif (custom := find_custom(identifier=provider_id)) is not None:
            shown = show_custom(custom, expand)
        else:
            raise NotFoundError(f"there is no provider {provider_id[:200]!r}")
        lists_customs = "connector" in expand and shown["connector_id"] == CONNECTOR
        return self.json({"result": with_connector(shown, expand, list_customs() if lists_customs else ())})
