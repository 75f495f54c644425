"""What the agents of bridges call, with the credential of their bridge. docs/bridges.md describes it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser

from core.columns import is_id
from core.errors import (
    MalformedBodyError,
    NotFoundError,
    OrganizationDisabledError,
    Parameter,
    ProblemError,
    UnauthenticatedError,
)
from core.limits import take
from core.limits.requests import address_of
from core.listing import refuse_unknown
from core.parsers import StrictJSONParser
from core.serializers import validated
from core.tenancy import Scope, enter
from core.views import OpenViewSet
from integrations.bridges.agents import note_heartbeat
from integrations.bridges.answers import AnswerParser
from integrations.bridges.credentials import BridgeCredentialError, read_credential
from integrations.bridges.models import Bridge
from integrations.bridges.relay import bring_answer, take_request
from integrations.bridges.serializers import ClaimSerializer, HeartbeatSerializer
from organizations.models import is_blocked


class AgentViewSet(OpenViewSet):
    """A surface of its own, so it is not in the docs of the Management API."""

    schema = None
    bridge_id: str

    def initial(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        try:
            self.bridge_id = self.authenticated(request)
        except ProblemError:
            take("stranger", address_of(request))
            raise
        take("bridge", self.bridge_id)
        self.refuse_other_methods()

    @staticmethod
    def authenticated(request: HttpRequest) -> str:
        """The bridge whose credential the request carries; its organization is in scope from here on."""
        scheme, _, text = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError("the request carries no agent's credential")
        credential = read_credential(text.strip())
        enter(Scope(credential.organization_id))
        bridges = Bridge.objects.filter(id=credential.bridge_id, credential_id=credential.credential_id)
        states = bridges.values_list("organization__state", "organization__end_date").first()
        if states is None:
            raise BridgeCredentialError("the bridge of the agent's credential was deleted")
        state, end_date = states
        if is_blocked(state, end_date, dt.datetime.now(dt.UTC).date().isoformat()):
            raise OrganizationDisabledError("the organization is disabled")
        return credential.bridge_id

    def get_parsers(self) -> list[BaseParser]:
        return [AnswerParser()] if self.action == "answer" else [StrictJSONParser()]

    @action(detail=False, methods=["post"])
    def heartbeat(self, request: HttpRequest) -> HttpResponse:
        refuse_unknown(request.GET, [])
        told = validated(HeartbeatSerializer(data=self.data)).data
        note_heartbeat(bridge_id=self.bridge_id, agent_id=told["agent_id"], told=told["status"])
        return HttpResponse(status=204)

    @action(detail=False, methods=["post"], url_path="requests")
    def take(self, request: HttpRequest) -> HttpResponse:
        refuse_unknown(request.GET, [])
        agent_id = validated(ClaimSerializer(data=self.data)).validated_data["agent_id"]
        taken = take_request(bridge_id=self.bridge_id, agent_id=agent_id)
        if taken is None:
            return HttpResponse(status=204)
        return HttpResponse(taken, content_type=AnswerParser.media_type)

    @action(detail=False, methods=["post"], url_path="requests/<str:request_id>/answer")
    def answer(self, request: HttpRequest, request_id: str) -> HttpResponse:
        refuse_unknown(request.GET, ["agent_id"])
        agent_id, raw = request.GET.get("agent_id", ""), self.data
        if not isinstance(raw, bytes):
            raise MalformedBodyError("the request has no body", at=Parameter("body", ""))
        known = is_id(request_id) and is_id(agent_id)
        if not known or not bring_answer(bridge_id=self.bridge_id, agent_id=agent_id, request_id=request_id, raw=raw):
            raise NotFoundError("nobody waits for this answer: the request expired, was answered or never taken")
        return HttpResponse(status=204)
