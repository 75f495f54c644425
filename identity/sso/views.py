"""Single sign-on configurations over HTTP."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core.listing import MOST, refuse_unknown
from core.models import Resource
from core.views import ResourceViewSet, ScopedViewSet
from identity.members.services import refuse_greater
from identity.permissionsets.sets import Permissions
from identity.sso import places
from identity.sso.assertions import NAME_ID_FORMATS
from identity.sso.models import OIDC, SAML, SsoConfiguration
from identity.sso.serializers import SsoSerializer, SsoUserConfigurationSerializer
from identity.sso.services import end_sessions


class SsoViewSet(ResourceViewSet):
    """Single sign-on: the identity providers that members sign in with."""

    resource = "idp"
    verbs = {"list": "get"}
    group, noun = "auth", "sso"
    serializer_class = SsoSerializer
    actions = ("list", "create", "retrieve", "update", "destroy")
    operations = {
        "list": "list_sso",
        "create": "create_sso",
        "retrieve": "get_sso",
        "update": "update_sso",
        "destroy": "delete_sso",
    }
    lookup_url_kwarg = "sso_id"
    orders = {name: name for name in ("name", "created_at", "updated_at", "id")}
    totals = False
    usual_limit = MOST  # the contract's client cannot ask for the next page
    examples = {
        "create": {
            "fullname": "Acme sign-on",
            "config": {
                "type": "oidc",
                "issuer_url": "https://login.acme.example",
                "client_id": "synqmgr",
                "client_secret": "...",
            },
        }
    }

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        self.refuse_greater()
        return super().perform_create(serializer)

    def perform_update(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        self.refuse_greater()
        return super().perform_update(serializer)

    def perform_destroy(self, instance: SsoConfiguration) -> None:
        self.refuse_greater()
        end_sessions(sso=instance)
        instance.delete()

    def refuse_greater(self) -> None:
        """Whoever changes a configuration decides who signs in, as any member: who may do everything."""
        refuse_greater(by=self.principal, permission_set=Permissions.ADMINISTRATOR)


class SsoMetadataViewSet(ScopedViewSet):
    """What an identity provider must be told of this service."""

    resource = "idp"
    verbs = {"get_sso_metadata": "get"}
    group, noun = "auth", "sso metadata"
    results = {"get_sso_metadata": SsoUserConfigurationSerializer}

    @action(detail=False, methods=["get"], url_path="meta")
    def get_sso_metadata(self, request: HttpRequest) -> HttpResponse:
        """Shows what to enter at the identity provider.

        The redirect URI of OpenID Connect, and the addresses and names of SAML. Once there are configurations, only
        the protocols that they use are shown.
        """
        refuse_unknown(request.GET, [])
        used = {shown["type"] for shown in SsoConfiguration.objects.values_list("identity_provider", flat=True)}
        result: dict[str, Any] = {}
        if OIDC in used or not used:
            result["oidc"] = {"redirect_uri": places.redirect_uri()}
        if SAML in used or not used:
            result["saml"] = {
                "acs_url": places.acs_url(),
                "sp_entity_id": places.metadata_url(),
                "supported_name_id_formats": list(NAME_ID_FORMATS),
            }
        return self.json({"result": result})
