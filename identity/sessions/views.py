"""Sessions over HTTP: logging on and off, the password and the second factor."""

from __future__ import annotations

import time
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from core import activity
from core.errors import ForbiddenError, OrganizationDisabledError, ProblemError, UnauthenticatedError
from core.network import client_address
from core.open_views import OpenViewSet
from core.permissions import Principal
from core.reading import reader_of
from core.serializers import validated
from core.tenancy import NOBODYS, Scope, enter
from core.views import ScopedViewSet
from identity.members.models import Member
from identity.members.serializers import MemberSerializer
from identity.members.services import organization_in_scope
from identity.sessions import factors, services
from identity.sessions.attempts import TooManyFailuresError, attempt_key
from identity.sessions.serializers import (
    ChangePasswordRequestSerializer,
    ChangePasswordResponseResultSerializer,
    EnrolSecondFactorRequestSerializer,
    LogonRequestSerializer,
    LogonResponseResultSerializer,
    RecoveryCodesSerializer,
    SecondFactorCodeSerializer,
    SecondFactorSecretSerializer,
)
from identity.tokens.rights import is_own_session
from identity.tokens.services import delete_token, token_of
from identity.tokens.views import shown_once
from organizations.models import is_blocked_now
from organizations.serializers import OrganizationSerializer


def show_session(session: services.Session) -> dict[str, Any]:
    """A session with the text of its secrets, as the contract's log-on answers it."""
    shown: dict[str, Any] = {
        "auth_code": session.auth_code,
        "refresh_token_id": session.issued.token.id,
        "token": shown_once(session.issued)["primary"],
        "organization": reader_of(OrganizationSerializer).plan.encode_instance(session.organization),
        "member": reader_of(MemberSerializer).plan.encode_instance(session.member),
    }
    return shown | ({"auth_msg": session.auth_msg} if session.auth_msg else {})


PACE = 0.05  # seconds; longer than checking a password takes


class LogonViewSet(OpenViewSet):
    """Logging on with a password."""

    group, noun = "auth", "session"
    requests = {"logon": LogonRequestSerializer}
    results = {"logon": LogonResponseResultSerializer}
    responses = {"logon": "LogonResponse"}
    raises = {
        "logon": (
            services.LogonFailedError,
            services.SecondFactorRequiredError,
            services.MemberDisabledError,
            services.MemberLockedError,
            services.PasswordOverdueError,
            OrganizationDisabledError,
            TooManyFailuresError,
        )
    }
    examples = {"logon": {"name": "ada@example.com", "secret": "seven horses eat paper"}}

    @action(detail=False, methods=["post"], url_path="logon/<str:organization_id>")
    def logon(self, request: HttpRequest, organization_id: str) -> HttpResponse:
        """Starts a session of a member of the organization, which is named by its id or name.

        The token stands for the member and does what its roles grant. After five failures in a row for one name
        from one address the wait doubles with each, up to a quarter of an hour.
        """
        asked = validated(LogonRequestSerializer(data=self.data)).validated_data
        started, found = time.perf_counter(), services.find_organization(organization_id)
        enter(Scope(found or NOBODYS))
        try:
            session = self.open_session(request, asked, found or organization_id)
        except ProblemError as refused:
            activity.record(news_of_logon(request, found, refused=refused))
            keep_pace(started)
            raise
        return ScopedViewSet.json({"result": show_session(session)})

    @staticmethod
    def open_session(request: HttpRequest, asked: dict[str, Any], organization: str) -> services.Session:
        name, address = asked["name"].lower(), client_address(request)
        member = services.authenticate_member(
            name=name,
            secret=asked["secret"],
            code=asked.get("code"),
            key=attempt_key("logon", organization, name, address=address),
        )
        if is_blocked_now(organization_in_scope()):
            raise OrganizationDisabledError("the organization is disabled")
        with transaction.atomic():
            session = services.open_session(member=member)
            activity.record(news_of_logon(request, member.organization_id, member=member))
        return session


def news_of_logon(
    request: HttpRequest,
    organization_id: str | None,
    *,
    member: Member | None = None,
    refused: ProblemError | None = None,
) -> activity.Activity:
    """What the recorder is told of a log-on. The body is all secret: even the name may be a password typed amiss."""
    member_id = member.id if member else ""
    return activity.Activity(
        resource="auth",
        verb="logon",
        object_id=member_id,
        token_id="",
        organization_id=organization_id or "",
        refusal=refused,
        member_id=member_id,
        call=activity.call_of(request),
    )


def keep_pace(started: float) -> None:
    """Lets a refusal leave on the next beat, so that its time does not tell what was looked up and written."""
    time.sleep(PACE - (time.perf_counter() - started) % PACE)


class SessionViewSet(ScopedViewSet):
    """The session of the member who asks."""

    resource = "auth"
    verbs = {
        "change_password": "change_password",
        "logoff": "logoff",
        "enrol_second_factor": "change_password",
        "confirm_second_factor": "change_password",
        "remove_second_factor": "change_password",
    }
    requests = {
        "change_password": ChangePasswordRequestSerializer,
        "enrol_second_factor": EnrolSecondFactorRequestSerializer,
        "confirm_second_factor": SecondFactorCodeSerializer,
        "remove_second_factor": SecondFactorCodeSerializer,
    }
    results = {
        "change_password": ChangePasswordResponseResultSerializer,
        "enrol_second_factor": SecondFactorSecretSerializer,
        "confirm_second_factor": RecoveryCodesSerializer,
    }
    responses = {"change_password": "ChangePasswordResponse", "logoff": None, "remove_second_factor": None}
    optional_bodies = ("logoff", "enrol_second_factor")
    raises = {
        "change_password": (TooManyFailuresError, services.PasswordOverdueError),
        "enrol_second_factor": (TooManyFailuresError,),
        "remove_second_factor": (TooManyFailuresError,),
    }
    examples = {"confirm_second_factor": {"code": "492039"}, "remove_second_factor": {"code": "492039"}}

    def scope_of(self, principal: Principal) -> Scope | None:
        """These are for members: no other token has a session, nor has one that was derived from it."""
        return super().scope_of(principal) if is_own_session(principal) else None

    @property
    def member(self) -> Member:
        member: Member | None = Member.objects.unnarrowed().filter(id=self.principal.member_id).first()
        if member is None:
            raise UnauthenticatedError("the member was deleted")
        return member

    @action(detail=False, methods=["post"])
    def change_password(self, request: HttpRequest) -> HttpResponse:
        """Gives the member another password. The member's other sessions end."""
        asked = validated(ChangePasswordRequestSerializer(data=self.body())).validated_data
        content = {"result": {"auth_code": "success"}}
        services.change_password(
            member=self.member,
            token_id=self.principal.token_id,
            address=client_address(request),
            then=lambda: self.record(object_id=self.principal.member_id, answer=content),
            **asked,
        )
        return self.json(content)

    @action(detail=False, methods=["post"])
    def logoff(self, request: HttpRequest) -> HttpResponse:
        """Ends the session, with every token derived from it."""
        with transaction.atomic():
            delete_token(token=token_of(principal=self.principal))
            self.record(object_id=self.principal.member_id)
            self.settle(b"", 204)
        return HttpResponse(status=204)

    @action(detail=False, methods=["post"], url_path="second_factor")
    def enrol_second_factor(self, request: HttpRequest) -> HttpResponse:
        """Starts enrolling an authenticator app (TOTP). Nothing is asked for before it is confirmed.

        It takes the member's password as `secret`, unless the session is one by single sign-on.
        """
        body = self.body() if self.has_body() else {}
        asked = validated(EnrolSecondFactorRequestSerializer(data=body)).validated_data
        member = self.member
        services.refuse_enrolling(
            member=member,
            token_id=self.principal.token_id,
            secret=asked.get("secret"),
            address=client_address(request),
        )
        with transaction.atomic():
            enrolled = factors.enrol(member=member, issuer=organization_in_scope().fullname)
            content = {"result": enrolled}
            self.record(object_id=self.principal.member_id, answer=content)
        return self.json(content)

    @action(detail=False, methods=["post"], url_path="second_factor/confirm")
    def confirm_second_factor(self, request: HttpRequest) -> HttpResponse:
        """Confirms the authenticator by a code of it. From now on every log-on needs one."""
        asked = validated(SecondFactorCodeSerializer(data=self.body())).validated_data
        with transaction.atomic():
            codes = factors.confirm(member=self.member, code=asked["code"])
            content = {"result": {"recovery_codes": codes}}
            self.record(object_id=self.principal.member_id, answer=content)
        return self.json(content)

    @action(detail=False, methods=["post"], url_path="second_factor/remove")
    def remove_second_factor(self, request: HttpRequest) -> HttpResponse:
        """Takes the second factor away. It needs a code of it, or a recovery code."""
        asked = validated(SecondFactorCodeSerializer(data=self.body())).validated_data
        member = self.member
        if not services.is_code_right(member=member, code=asked["code"]):
            raise ForbiddenError("the code is not right, or has been used")
        with transaction.atomic():
            factors.remove(member=member)
            self.record(object_id=member.id)
            self.settle(b"", 204)
        return HttpResponse(status=204)
