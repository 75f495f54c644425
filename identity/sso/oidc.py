"""Signing in by OpenID Connect: the authorization code flow with PKCE, as a confidential client."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from typing import Any
from urllib.parse import quote, urlencode

from core.errors import ProviderFailedError
from core.outbound import OutboundRequest, send
from core.outbound.destination import parse_url
from identity.sso.discovery import LIMITS, Provider, find_provider, read_object
from identity.sso.id_tokens import Claims, verify_id_token
from identity.sso.identities import Identity, SignInRefusedError, clean_email, clean_fullname

SCOPE = "openid email profile"
_TOKEN = re.compile(r"[!-~]{1,16384}\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class OidcClient:
    """This service, as it is registered with a provider."""

    issuer_url: str
    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    redirect_uri: str


@dataclasses.dataclass(frozen=True, slots=True)
class Proofs:
    """What one sign-in keeps to itself until the provider's answer is there."""

    nonce: str = dataclasses.field(repr=False)
    verifier: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class OidcAnswer:
    """What the browser brings back from the provider."""

    code: str | None = dataclasses.field(default=None, repr=False)
    error: str | None = None
    iss: str | None = None


def challenge_of(verifier: str) -> str:
    """The PKCE challenge (S256) of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def authorization_url(*, client: OidcClient, state: str, proofs: Proofs) -> str:
    """Where the browser goes to sign in."""
    endpoint = find_provider(client.issuer_url).authorization_endpoint
    query = urlencode(
        {
            "response_type": "code",
            "client_id": client.client_id,
            "redirect_uri": client.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": proofs.nonce,
            "code_challenge": challenge_of(proofs.verifier),
            "code_challenge_method": "S256",
        }
    )
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"


def identify(*, client: OidcClient, answer: OidcAnswer, proofs: Proofs) -> Identity:
    """Who the provider says has signed in; raises when it does not say so beyond doubt."""
    provider = find_provider(client.issuer_url)
    _refuse_other_issuer(answer, provider)
    if answer.error is not None:
        word = answer.error if re.fullmatch(r"[a-z_]{1,64}", answer.error) else "an error"
        raise SignInRefusedError(f"the identity provider did not sign you in: it answered {word!r}")
    if not answer.code:
        raise SignInRefusedError("the identity provider's answer holds no code")
    tokens = _exchange(client, provider, answer.code, proofs.verifier)
    claims = verify_id_token(tokens.get("id_token"), provider=provider, client_id=client.client_id, nonce=proofs.nonce)
    if "email" not in claims and provider.userinfo_endpoint is not None:
        claims = {**claims, **_user_info(provider.userinfo_endpoint, tokens.get("access_token"), claims["sub"])}
    return _identity(provider, claims)


def _refuse_other_issuer(answer: OidcAnswer, provider: Provider) -> None:
    """RFC 9207: an answer that names its issuer must name the one that was asked, before its code goes anywhere."""
    if answer.iss is None and not provider.names_itself:
        return
    if answer.iss != provider.issuer:
        raise SignInRefusedError("the answer is not of the identity provider that was asked (iss)")


def _exchange(client: OidcClient, provider: Provider, code: str, verifier: str) -> dict[str, Any]:
    """The tokens for a code. Only the registered client with the verifier of this sign-in gets them."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if provider.posts_secret:
        form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    else:  # RFC 6749 2.3.1 has both encoded before they are joined
        joined = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(joined.encode()).decode()}"
    url = provider.token_endpoint
    answer = send(OutboundRequest("POST", url, headers, urlencode(form).encode(), limits=LIMITS))
    if answer.status == 200:
        return read_object(answer, url)
    error = read_object(answer, url).get("error") if answer.status in (400, 401, 403) else None
    if error == "invalid_grant":
        raise SignInRefusedError("the identity provider does not take the code: it has run out or was used before")
    if error == "invalid_client" or answer.status == 401:
        raise ProviderFailedError(f"{parse_url(url)} does not accept the configured client and its secret")
    raise ProviderFailedError(f"{parse_url(url)} answered {answer.status} where tokens were asked for")


def _user_info(url: str, token: object, subject: object) -> dict[str, Any]:
    """Claims about the user that are not in the ID token; nothing when they are of somebody else."""
    if not isinstance(token, str) or _TOKEN.match(token) is None:
        return {}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = send(OutboundRequest("GET", url, headers, limits=LIMITS))
    if answer.status != 200:
        raise ProviderFailedError(f"{parse_url(url)} answered {answer.status} where claims of the user were asked for")
    claims = read_object(answer, url)
    if claims.get("sub") != subject:
        raise SignInRefusedError("the identity provider tells of another user than the one who signed in")
    return {name: claims[name] for name in ("email", "email_verified", "name") if name in claims}


def _identity(provider: Provider, claims: Claims) -> Identity:
    return Identity(
        issuer=provider.issuer,
        subject=claims["sub"],
        email=clean_email(claims.get("email")),
        email_verified=_is_verified(claims.get("email_verified")),
        fullname=clean_fullname(claims.get("name"))
        or clean_fullname(claims.get("given_name"), claims.get("family_name")),
    )


def _is_verified(claim: object) -> bool | None:
    """Some providers send the word instead of the value. Anything else is no word on it."""
    if claim is True or claim == "true":
        return True
    return False if claim is not None else None
