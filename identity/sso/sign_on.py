"""Signing in over HTTP: for browsers and the applications that send them. No operation here needs a token."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser

from core import activity
from core.errors import (
    InvalidError,
    OrganizationDisabledError,
    Parameter,
    ProblemError,
    ProviderFailedError,
    ProviderTimeoutError,
)
from core.fields import StringField
from core.listing import refuse_unknown
from core.open_views import OpenViewSet
from core.parsers import FormParser, StrictJSONParser
from core.serializers import StrictSerializer, validated
from core.views import ScopedViewSet
from identity.members.models import SecondFactorRule
from identity.sessions.attempts import TooManyFailuresError
from identity.sessions.serializers import LogonResponseResultSerializer
from identity.sessions.services import (
    LogonFailedError,
    MemberDisabledError,
    MemberLockedError,
    SecondFactorRequiredError,
    Session,
    open_session,
    prove_second_factor,
    refuse_shut_out,
)
from identity.sessions.views import news_of_logon, show_session
from identity.sso import places, saml
from identity.sso.admission import admit
from identity.sso.attempts import (
    Destination,
    begin,
    find_code,
    find_configuration,
    make_code,
    new_secret,
    spend_code,
    take_attempt,
)
from identity.sso.browsers import browser_of, known_browser, mark_browser
from identity.sso.identities import Identity, SignInRefusedError
from identity.sso.models import OIDC, SAML, SsoAttempt, SsoCode
from identity.sso.protocols import identify_oidc, identify_saml, start_url

REFUSALS = (OrganizationDisabledError, SignInRefusedError, MemberDisabledError, MemberLockedError)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_CLIENT_STATE = re.compile(r"[!-~]{1,512}\Z")
verifier_pattern = RegexValidator(
    r"\A[A-Za-z0-9._~-]{43,128}\Z", "must be 43 to 128 letters, digits, `-`, `.`, `_` and `~`"
)
_XML = "text/xml"  # the registered type, application/samlmetadata+xml, is one that generated clients do not read
_DOCUMENT = {_XML: {"type": "string", "description": "An XML document.", "examples": ["<EntityDescriptor/>"]}}


class ProofField(StringField):
    """A text that proves something, so that no problem shows it."""

    secret = True


class ExchangeSerializer(StrictSerializer):
    """A code and the proof that it is yours."""

    code = ProofField(max_length=128, help_text="The `code` that `return_to` was called with.")
    code_verifier = ProofField(
        max_length=128,
        validators=[verifier_pattern],
        help_text="The text whose SHA-256 was given as `code_challenge` at the start.",
    )
    second_factor = ProofField(
        max_length=64,
        required=False,
        help_text="Code of the authenticator, or a recovery code, where the configuration wants a second factor.",
    )


class SamlResponseSerializer(StrictSerializer):
    """The form that a SAML identity provider has the browser send."""

    SAMLResponse = ProofField(max_length=65_536, help_text="The response, base64.")
    RelayState = ProofField(max_length=80, help_text="As it was in the request.")


def _text(text: str) -> dict[str, Any]:
    return {"type": "string", "description": text}


class SignOnViewSet(OpenViewSet):
    """Signing in with a single sign-on configuration."""

    group, noun = "auth", "sign on"
    raises = {
        "start_sso": (OrganizationDisabledError, ProviderFailedError, ProviderTimeoutError),
        "finish_oidc": (*REFUSALS, ProviderFailedError, ProviderTimeoutError),
        "finish_saml": REFUSALS,
        "exchange_code": (*REFUSALS, SecondFactorRequiredError, LogonFailedError, TooManyFailuresError),
    }
    queries = {
        "start_sso": {
            "return_to": _text("Where the browser goes in the end: one of the addresses that the operator has listed.")
            | {"required": True},
            "code_challenge": _text("SHA-256 of a text that you keep, in base64url without padding (PKCE, S256).")
            | {"required": True, "pattern": "^[A-Za-z0-9_-]{43}$"},
            "state": _text("Anything of yours, given back to `return_to`.") | {"pattern": "^[!-~]{1,512}$"},
        },
        "finish_oidc": {
            "state": _text("As it was in the request.") | {"required": True},
            "code": _text("The provider's code."),
            "error": _text("The provider's reason for not giving a code."),
            "iss": _text("The provider's issuer (RFC 9207)."),
        },
    }
    examples = {
        "exchange_code": {
            "code": "C_xzL5Yl8vyGPp6q3IYSAqkDVSA7_OzQXlDIHHQ7oSU",
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        }
    }
    redirects = ("start_sso", "finish_oidc", "finish_saml")
    requests = {"finish_saml": SamlResponseSerializer, "exchange_code": ExchangeSerializer}
    forms = ("finish_saml",)
    results = {"exchange_code": LogonResponseResultSerializer}
    responses = {"saml_metadata": _DOCUMENT, "saml_metadata_of": _DOCUMENT, "exchange_code": "LogonResponse"}

    def get_parsers(self) -> list[BaseParser]:
        return [FormParser()] if self.action == "finish_saml" else [StrictJSONParser()]

    @action(detail=False, methods=["get"], url_path="sso/<str:sso_id>/start")
    def start_sso(self, request: HttpRequest, sso_id: str) -> HttpResponse:
        """Starts a sign-in.

        Open it in a browser: it is sent on to the identity provider of the configuration, which is named by its id,
        and in the end to `return_to` with a `code` (and your `state`). Exchange the code for a session at
        `/v1/auth/exchange`. A sign-in that is not finished within ten minutes has to be started again.
        """
        refuse_unknown(request.GET, ["return_to", "code_challenge", "state"])
        destination = _read_destination(request.GET)
        sso = find_configuration(sso_id)
        type_ = sso.identity_provider["type"]
        state, browser = new_secret(), known_browser(request, type_)
        url = start_url(sso=sso, state=state)
        begin(sso=sso, state=state, browser=browser, destination=destination)
        response = see_other(url)
        mark_browser(response, type_, browser)
        return response

    @action(detail=False, methods=["get"], url_path="oidc/callback")
    def finish_oidc(self, request: HttpRequest) -> HttpResponse:
        """Takes the answer of an OpenID Connect provider.

        The redirect URI: providers send browsers here. The browser goes on to the `return_to` of its sign-in with a
        `code`. Each sign-in takes one answer, from the browser that began it.
        """
        query = {name: request.GET[name] for name in request.GET}
        attempt = take_attempt(state=query.get("state"), browser=browser_of(request, OIDC), type_=OIDC)
        return self.finish(request, attempt, lambda: identify_oidc(sso=attempt.sso, state=query["state"], query=query))

    @action(detail=False, methods=["post"], url_path="saml/acs")
    def finish_saml(self, request: HttpRequest) -> HttpResponse:
        """Takes the response of a SAML identity provider.

        The Assertion Consumer Service: providers have browsers post their responses here. The browser goes on to the
        `return_to` of its sign-in with a `code`. Only responses to requests of this service are taken, each once.
        """
        form = validated(SamlResponseSerializer(data=self.data)).validated_data
        state = form["RelayState"]
        attempt = take_attempt(state=state, browser=browser_of(request, SAML), type_=SAML)
        response = form["SAMLResponse"]
        return self.finish(request, attempt, lambda: identify_saml(sso=attempt.sso, state=state, response=response))

    def finish(self, request: HttpRequest, attempt: SsoAttempt, identify: Callable[[], Identity]) -> HttpResponse:
        """Sends the browser on with a code, once it is known who has signed in."""
        try:
            identity = identify()
            with transaction.atomic():
                member = admit(sso=attempt.sso, identity=identity)
                code = make_code(attempt=attempt, member=member)
                record(request, attempt, member_id=member.id)
        except ProblemError as error:
            record(request, attempt, refused=error)
            raise
        state = {} if attempt.client_state is None else {"state": attempt.client_state}
        query = urlencode({"code": code, **state})
        return see_other(f"{attempt.return_to}{'&' if '?' in attempt.return_to else '?'}{query}")

    @action(detail=False, methods=["post"], url_path="exchange")
    def exchange_code(self, request: HttpRequest) -> HttpResponse:
        """Exchanges a code for a session.

        The answer is that of a logon: the session's tokens, the organization and the member. A code is good for one
        exchange within a minute, by whoever knows the text behind the `code_challenge` of the start. If the
        configuration wants the second factor as well, it is asked for here and does not use the code up when it fails.
        """
        refuse_unknown(request.GET, [])
        asked = validated(ExchangeSerializer(data=self.data)).validated_data
        row = find_code(code=asked["code"], verifier=asked["code_verifier"])
        try:
            session = self.begin_session(request, row, asked.get("second_factor"))
        except ProblemError as refused:
            activity.record(news_of_logon(request, row.organization_id, member=row.member, refused=refused))
            raise
        return ScopedViewSet.json({"result": show_session(session)})

    @staticmethod
    def begin_session(request: HttpRequest, row: SsoCode, second_factor: str | None) -> Session:
        """The session that a code is good for. A missing second factor does not use it up."""
        member, needed = row.member, row.sso.identity_provider.get("require_second_factor", False)
        refuse_shut_out(member)
        if needed and member.has_second_factor:
            prove_second_factor(member=member, code=second_factor)
        with transaction.atomic():
            spend_code(row)
            rule = SecondFactorRule.NEEDED if needed else SecondFactorRule.ELSEWHERE
            session = open_session(member=member, rule=rule, sso_id=row.sso_id)
            activity.record(news_of_logon(request, row.organization_id, member=member))
        return session

    @action(detail=False, methods=["get"], url_path="saml/metadata")
    def saml_metadata(self, request: HttpRequest) -> HttpResponse:
        """Shows this service's SAML metadata.

        For an identity provider whose configuration uses the address of this document as the entity id.
        """
        refuse_unknown(request.GET, [])
        return HttpResponse(saml.metadata(sp_entity_id=places.metadata_url(), acs_url=places.acs_url()), _XML)

    @action(detail=False, methods=["get"], url_path="saml/metadata/<str:sso_id>")
    def saml_metadata_of(self, request: HttpRequest, sso_id: str) -> HttpResponse:
        """Shows the SAML metadata of one configuration.

        With the entity id that the configuration says.
        """
        refuse_unknown(request.GET, [])
        sso = find_configuration(sso_id)
        if sso.identity_provider["type"] != SAML:
            raise InvalidError("the configuration is not of SAML", at=Parameter("path", "sso_id", sso_id))
        entity_id = sso.identity_provider["sp_entity_id"]
        return HttpResponse(saml.metadata(sp_entity_id=entity_id, acs_url=places.acs_url()), _XML)


def _read_destination(query: Mapping[str, str]) -> Destination:
    return_to, challenge, state = query.get("return_to", ""), query.get("code_challenge", ""), query.get("state")
    if return_to not in settings.RETURN_TO:
        raise InvalidError(
            "`return_to` must be one of the addresses that the operator has listed",
            at=Parameter("query", "return_to", return_to[:200]),
            remediation="Ask the operator of this service to list the address in SYNQMGR_RETURN_TO.",
        )
    if _CHALLENGE.match(challenge) is None:
        at = Parameter("query", "code_challenge", challenge[:200])
        raise InvalidError("`code_challenge` must be a SHA-256 in base64url without padding, 43 characters", at=at)
    if state is not None and _CLIENT_STATE.match(state) is None:
        raise InvalidError("`state` must be 1 to 512 visible ASCII characters", at=Parameter("query", "state"))
    return Destination(return_to, state, challenge)


def record(
    request: HttpRequest, attempt: SsoAttempt, *, member_id: str = "", refused: ProblemError | None = None
) -> None:
    """Tells the recorder how a sign-in ended."""
    activity.record(
        activity.Activity(
            resource="auth",
            verb="sign_on",
            object_id=member_id or attempt.sso.id,
            token_id="",
            organization_id=attempt.organization_id,
            refusal=refused,
            member_id=member_id,
            call=activity.call_of(request),
        )
    )


def see_other(url: str) -> HttpResponse:
    """Sends the browser on, by GET."""
    return HttpResponse(status=303, headers={"Location": url})
