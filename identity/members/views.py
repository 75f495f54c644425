"""Members over HTTP."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core.errors import ForbiddenError
from core.filters import EnumFilter, InstantFilter, ResourceFilterSet, TextFilter
from core.listing import refuse_unknown
from core.permissions import Principal
from core.tenancy import Scope, scoped
from core.views import ResourceViewSet
from identity.members.models import Member, MemberType, State
from identity.members.serializers import CreateMemberResponseResultSerializer, MemberSerializer
from identity.members.services import (
    bind_roles,
    create_member,
    grant_roles,
    has_administrator,
    is_called,
    lock_administrators,
    refuse_greater_member,
    refuse_without_administrator,
    reset_password,
    spec_of,
)
from identity.sessions.factors import remove
from identity.tokens.rights import is_own_session

PROFILE = {"fullname", "nickname", "picture"}  # what members may change of themselves
PROFILE_ACTIONS = ("retrieve", "update", "partial_update")


def refuse_beyond_profile(serializer: Any) -> None:
    """Raises when members would change more of themselves than their profile."""
    changed = {n for n, v in serializer.validated_data.items() if getattr(serializer.instance, n, None) != v}
    if beyond := sorted(changed - PROFILE):
        raise ForbiddenError(f"of themselves, members change {', '.join(sorted(PROFILE))}, and not {', '.join(beyond)}")


class MemberFilterSet(ResourceFilterSet):
    state = EnumFilter(State)
    type = EnumFilter(MemberType)
    nickname = TextFilter()
    last_logon = InstantFilter()
    expires = InstantFilter()


class MemberViewSet(ResourceViewSet):
    """Members of your organization: the people and services that log on, and their roles."""

    resource = "members"
    serializer_class = MemberSerializer
    filterset_class = MemberFilterSet
    orders = {**ResourceViewSet.orders, "last_logon": "last_logon"}
    lookup_url_kwarg = "member_id"
    unconditional = ("retrieve",)  # it shows the last log-on
    results = {"create": CreateMemberResponseResultSerializer}
    totals = False
    is_profile = False  # whether members act on themselves who may not do this to all of them
    verbs = {"reset_second_factor": "update"}
    responses = {"reset_second_factor": None}
    examples = {
        "create": {
            "name": "ada@example.com",
            "fullname": "Ada Lovelace",
            "secret": "seven horses eat paper",
            "role_binding": ["viewer"],
            "options": {"options": ["expired"]},
        }
    }

    def scope_of(self, principal: Principal) -> Scope | None:
        scope = super().scope_of(principal)
        self.is_profile = (scope is None or bool(scope.groups)) and self.is_own_profile()
        return Scope(principal.organization_id) if self.is_profile else scope

    def is_own_profile(self) -> bool:
        """Whether members act on themselves, in a session of their own that nothing has to come before."""
        is_free = is_own_session(self.principal) and len(self.principal.links) == 1
        if not is_free or self.action not in PROFILE_ACTIONS:
            return False
        with scoped(Scope(self.principal.organization_id)):
            return is_called(self.principal.member_id, self.identifier())

    def perform_create(self, serializer: Any) -> tuple[Member, dict[str, Any]]:
        member = create_member(spec=spec_of(serializer.validated_data), by=self.principal)
        return member, {"result": {"member": self.reader.plan.encode_instance(member)}}

    def locked(self) -> Member:
        lock_administrators()
        member: Member = super().locked()
        return member

    def perform_update(self, serializer: Any) -> tuple[Member, dict[str, Any]]:
        had, names = has_administrator(), serializer.validated_data["role_binding"]
        if self.is_profile:
            refuse_beyond_profile(serializer)
        if serializer.instance.id != self.principal.member_id:
            refuse_greater_member(member=serializer.instance, by=self.principal)
        if "secret" in serializer.validated_data:
            reset_password(member=serializer.instance, secret=serializer.validated_data["secret"], by=self.principal)
        roles = grant_roles(member=serializer.instance, names=names, by=self.principal)
        member = serializer.save()
        bind_roles(member=member, roles=roles)
        refuse_without_administrator(had=had)
        return member, {"result": self.reader.plan.encode_instance(member)}

    @action(detail=True, methods=["delete"], url_path="second_factor")
    def reset_second_factor(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Takes the second factor of a member away who has lost it."""
        refuse_unknown(request.GET, [])
        with transaction.atomic():
            member = self.locked()
            if member.id == self.principal.member_id:
                raise ForbiddenError("of themselves, members take it away at /v1/auth/second_factor, with a code of it")
            refuse_greater_member(member=member, by=self.principal)
            remove(member=member)
            self.record(object_id=member.id)
        return HttpResponse(status=204)

    def perform_destroy(self, instance: Member) -> None:
        had = has_administrator()
        refuse_greater_member(member=instance, by=self.principal)
        instance.delete()
        refuse_without_administrator(had=had)
