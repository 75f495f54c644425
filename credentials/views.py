"""Credentials over HTTP."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from core.errors import InvalidError, Parameter, PatchError
from core.filters import EnumFilter, IdFilter, InstantFilter, ResourceFilterSet
from core.models import Resource
from core.patch import apply_patch
from core.reading import missing
from core.references import Owner, find_owner
from core.views import ResourceViewSet
from credentials.models import Credential, CredentialType, ManagedType, OwnerType
from credentials.serializers import CredentialSerializer
from credentials.services import open_config

PATCHABLE = ("/name", "/fullname", "/expires", "/config")


class CredentialFilterSet(ResourceFilterSet):
    owner_type = EnumFilter(OwnerType)
    owner_id = IdFilter()
    account_id = IdFilter()
    type = EnumFilter(CredentialType, field_name="credential_type")
    managed = EnumFilter(ManagedType)
    expires = InstantFilter()


class CredentialViewSet(ResourceViewSet):
    """Credentials: the secrets that integrations sign in with. They are sealed, and no answer holds them."""

    resource = "credentials"
    serializer_class = CredentialSerializer
    filterset_class = CredentialFilterSet
    orders = {name: name for name in ("name", "created_at", "updated_at", "id")}
    lookup_url_kwarg = "credential_id"
    totals = False

    def owner(self) -> Owner:
        """The object of the address that owns the credentials."""
        identifier = self.kwargs["owner_id"]
        owner = find_owner(identifier, OwnerType.values)
        if owner is None:
            raise missing(Resource, identifier)
        return owner

    def fixed(self) -> dict[str, Any]:
        owner = self.owner()
        return {"owner_type": owner.type, "owner_id": owner.id}

    def above(self) -> Owner:
        return self.owner()

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        asked = serializer.validated_data["owner_type"]
        owner = find_owner(self.kwargs["owner_id"], [asked], lock=True)
        if owner is None:
            other = self.owner().type
            message = f"/owner_type: the owner is an object of the type {other!r}"
            raise InvalidError(message, at=Parameter("body", "/owner_type", str(asked)))
        serializer.context["owner"] = owner
        return super().perform_create(serializer)

    def patched(self, document: dict[str, Any], operations: Any) -> dict[str, Any]:
        """Only additions, removals and replacements; the others would lift or guess a secret."""
        result = apply_patch(
            document,
            operations,
            allowed_ops=("add", "remove", "replace"),
            allow_path=lambda pointer: pointer in PATCHABLE or pointer.startswith("/config/"),
        )
        config = result.get("config")
        if config is None or (isinstance(config, dict) and not config.keys() - {"type"}):
            raise PatchError("a credential cannot be without its secret `config`", at=Parameter("body", ""))
        return result

    def document(self, instance: Credential) -> dict[str, Any]:
        return {**super().document(instance), "config": open_config(credential=instance)}


class CredentialLookupViewSet(CredentialViewSet):
    """Credentials by id alone, whoever owns them."""

    actions = ("retrieve",)
    operations = {"retrieve": "lookup"}
    noun = "credential"

    def fixed(self) -> dict[str, Any]:
        return {}

    @property
    def verb(self) -> str:
        return "lookup"

    def retrieve(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Finds a credential by its id without naming the owner; a name must be the only one of its kind."""
        return super().retrieve(request, **kwargs)
