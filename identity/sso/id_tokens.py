"""ID tokens: their signature by the provider's key, and every claim that binds them to one sign-in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from core.errors import MalformedBodyError, TooLargeError
from core.late import LateModule
from core.parsing import read_json
from identity.sso.discovery import Provider, find_key
from identity.sso.identities import SKEW, SignInRefusedError

if TYPE_CHECKING:
    from joserfc import errors, jws, util
else:
    errors = LateModule("joserfc.errors")
    jws = LateModule("joserfc.jws")
    util = LateModule("joserfc.util")

# Asymmetric ones alone: with a symmetric one, the public key would be a secret that everybody knows.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LONGEST = 32 * 1024
Claims = Mapping[str, Any]


def refused(reason: str) -> SignInRefusedError:
    return SignInRefusedError(f"the ID token of the identity provider is not accepted: {reason}")


def verify_id_token(text: object, *, provider: Provider, client_id: str, nonce: str) -> Claims:
    """The claims of an ID token made by this provider for this client and this sign-in."""
    if not isinstance(text, str) or len(text) > LONGEST or not text.isascii():
        raise refused("it is missing or too long")
    claims = _verify_signature(text, provider)
    _verify_parties(claims, provider, client_id)
    _verify_times(claims, time.time())
    if claims.get("nonce") != nonce:
        raise refused("it was not made for this sign-in (nonce)")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise refused("it names no subject")
    return claims


def _verify_signature(text: str, provider: Provider) -> Claims:
    header = _header(text)
    if header.get("alg") not in ALGORITHMS:
        raise refused("its algorithm is none that proves who signed it")
    key = find_key(provider, header.get("kid"), header["alg"])
    if key is None:
        raise refused("it is signed by no key that the provider publishes")
    try:
        content = jws.deserialize_compact(text, key, algorithms=list(ALGORITHMS)).payload
    except (errors.JoseError, ValueError, TypeError) as error:
        raise refused("its signature is wrong") from error
    try:
        claims = read_json(content or b"", limit=LONGEST)
    except (MalformedBodyError, TooLargeError):
        claims = None
    if not isinstance(claims, dict):
        raise refused("it holds no claims")
    return claims


def _header(text: str) -> dict[str, Any]:
    try:
        header = orjson.loads(util.urlsafe_b64decode(text.partition(".")[0].encode()))
    except (ValueError, TypeError):
        header = None
    if not isinstance(header, dict):
        raise refused("it is no signed token")
    return header


def _verify_parties(claims: Claims, provider: Provider, client_id: str) -> None:
    if claims.get("iss") != provider.issuer:
        raise refused("it is of another issuer")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise refused("it is for another client (aud)")
    if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != client_id:
        raise refused("it was given to another client (azp)")


def _verify_times(claims: Claims, now: float) -> None:
    expires, issued = _number(claims, "exp"), _number(claims, "iat")
    if expires <= now - SKEW:
        raise refused("it has expired")
    if issued > now + SKEW:
        raise refused("it was issued in the future")
    if "nbf" in claims and _number(claims, "nbf") > now + SKEW:
        raise refused("it is not valid yet")


def _number(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused(f"it has no {name!r}")
    return value
