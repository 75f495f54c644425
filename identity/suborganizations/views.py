"""Sub-organizations over HTTP."""

from __future__ import annotations

from typing import Any

from core.errors import ForbiddenError
from core.listing import MOST
from core.reading import reader_of
from core.views import ResourceViewSet
from identity.members.serializers import MemberSerializer
from identity.members.services import organization_in_scope, spec_of
from identity.services import delete_organization, open_organization
from identity.suborganizations.models import SubOrganization
from identity.suborganizations.serializers import (
    CreateOrganizationRequestSerializer,
    CreateOrganizationResponseResultSerializer,
    SubOrganizationSerializer,
)
from identity.tokens.views import shown_once
from organizations.models import OrganizationType
from organizations.serializers import OrganizationSerializer

TTL, REFRESH_TTL = "24h", "8760h"  # of the first token


class SubOrganizationViewSet(ResourceViewSet):
    """The organizations below yours. Only a root organization has any; what is inside them is theirs alone."""

    resource = "suborgs"
    group = "sub_orgs"
    noun = "sub-organization"
    serializer_class = SubOrganizationSerializer
    lookup_url_kwarg = "organization_id"
    actions = ("list", "create", "retrieve", "destroy")
    results = {
        "list": OrganizationSerializer,
        "retrieve": OrganizationSerializer,
        "create": CreateOrganizationResponseResultSerializer,
    }
    responses = {
        "list": "ListOrganizationResponse",
        "retrieve": "GetOrganizationResponse",
        "create": "CreateOrganizationResponse",
    }
    requests = {"create": CreateOrganizationRequestSerializer}
    totals = False
    usual_limit = MOST  # the contract's client cannot ask for the next page

    def perform_create(self, serializer: Any) -> tuple[Any, dict[str, Any]]:
        above = organization_in_scope()
        if above.organization_type != OrganizationType.ROOT:
            raise ForbiddenError("only a root organization makes organizations below it")
        asked = serializer.validated_data
        member = asked.pop("member", None)
        made: SubOrganization = serializer.save(parent_id=above.id)
        opened = open_organization(
            of=made,
            ttl=TTL,
            refresh_ttl=REFRESH_TTL,
            member=spec_of(member, default_role="administrator", at="/member") if member else None,
        )
        result = {
            "organization": self.reader.plan.encode_instance(made),
            "token": shown_once(opened.issued)["primary"],
        }
        if opened.member is not None:
            result["member"] = reader_of(MemberSerializer).plan.encode_instance(opened.member)
        return made, {"result": result}

    def perform_destroy(self, instance: SubOrganization) -> None:
        self.note = delete_organization(of=instance)
