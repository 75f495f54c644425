"""How a check signs in: what a credential adds to a request, and the OAuth client credentials grant."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from catalog.errors import CredentialRejectedError, UnexpectedAnswerError, VerificationUnavailableError
from catalog.templates import Context, UnfillableError, choose, choose_parameter, fill, fill_path, read_host
from core.errors import ProblemError
from core.outbound import Limits, OutboundAnswer, OutboundRequest, Sender, send
from core.parsing import read_json

FORM = "application/x-www-form-urlencoded"
# RFC 6749, 5.2: what a token service may say is repeated only if it is one of these.
OAUTH_ERRORS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Sends the requests of one check. TLS verification is skipped, if at all, at one host only."""

    provider: str
    limits: Limits
    unverified_host: str = ""
    send: Sender = send

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> OutboundAnswer:
        verify = read_host(url) != self.unverified_host
        request = OutboundRequest(method=method, url=url, headers=headers, body=body, verify=verify, limits=self.limits)
        return self.send(request)


@dataclasses.dataclass(frozen=True, slots=True)
class SignIn:
    """What one credential adds to the request of a check."""

    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    query: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)


def sign_in(scheme: Mapping[str, Any], context: Context, caller: Caller) -> SignIn:
    """Apply one scheme, as docs/providers.md lists them."""
    match scheme["scheme"]:
        case "basic":
            username = fill(scheme.get("username", "{secret.username}"), context)
            password = fill(scheme.get("password", "{secret.secret}"), context)
            return SignIn(headers={"Authorization": encode_basic(username, password)})
        case "bearer":
            return SignIn(headers={"Authorization": f"Bearer {context.require('secret.secret')}"})
        case "header":
            return SignIn(headers={scheme["name"]: fill(scheme["value"], context)})
        case "query":
            return SignIn(query={scheme["name"]: fill(scheme["value"], context)})
        case "oauth2":
            return SignIn(headers={"Authorization": f"Bearer {fetch_token(scheme, context, caller)}"})
        case "body":  # the templates of the body hold the credential
            return SignIn()
        case _:
            raise VerificationUnavailableError(f"{caller.provider} was not asked: {scheme['reason']}")


def encode_basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def fetch_token(scheme: Mapping[str, Any], context: Context, caller: Caller) -> str:
    """Exchange client id and secret for an access token."""
    url = _find_token_url(scheme, context)
    client = (
        fill(scheme.get("client_id", "{secret.client_id}"), context),
        fill(scheme.get("client_secret", "{secret.client_secret}"), context),
    )
    form = {"grant_type": "client_credentials", **_list_parameters(scheme, context)}
    headers = {"Content-Type": FORM, "Accept": "application/json"}
    headers |= {name: fill(value, context) for name, value in scheme.get("headers", {}).items()}
    if scheme["style"] == "in_header":
        headers["Authorization"] = encode_basic(*client)
    else:
        form |= {"client_id": client[0], "client_secret": client[1]}
    return _read_token(caller.call("POST", url, headers, urlencode(form).encode("ascii")), url, caller)


def _find_token_url(scheme: Mapping[str, Any], context: Context) -> str:
    own = context.look_up("secret.token_url")
    if own is not None:
        return own
    base = choose(scheme["base"], context)
    if base is None:
        raise UnfillableError("the address of the token service is not known: set `token_url` in the credential")
    return base + fill_path(scheme["path"], context)


def _list_parameters(scheme: Mapping[str, Any], context: Context) -> dict[str, str]:
    """Scope and further parameters of the token request. Absent ones are left out."""
    scope = choose_parameter(scheme.get("scope", ()), context)
    if "scopes_member" in scheme:
        scopes = context.config.get(scheme["scopes_member"].removeprefix("config."))
        scope = " ".join(scopes) if isinstance(scopes, list) else None
    chosen = {name: choose_parameter(sources, context) for name, sources in scheme.get("params", {}).items()}
    return {name: value for name, value in {"scope": scope, **chosen}.items() if value}


def _read_token(answer: OutboundAnswer, url: str, caller: Caller) -> str:
    host = read_host(url)
    try:
        body = read_json(answer.body, limit=caller.limits.answer)
    except ProblemError:
        body = None
    body = body if isinstance(body, dict) else {}
    if answer.status in {400, 401, 403}:
        said = body.get("error")
        code = f" ({said})" if isinstance(said, str) and said in OAUTH_ERRORS else ""
        raise CredentialRejectedError(
            f"{caller.provider} did not accept the client id and secret: "
            f"the token service at {host} answered {answer.status}{code}."
        )
    token = body.get("access_token")
    if answer.status not in {200, 201} or not isinstance(token, str) or not token:
        raise UnexpectedAnswerError(
            f"{caller.provider} gave no access token: the token service at {host} answered {answer.status}."
        )
    return token
