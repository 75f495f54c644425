"""What an OpenID Connect provider publishes: its discovery document and its keys, fetched and kept for a while."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from typing import TYPE_CHECKING, Any

from core.errors import MalformedBodyError, ProblemError, ProviderFailedError, TooLargeError
from core.late import LateModule
from core.outbound import Limits, OutboundAnswer, OutboundRefusedError, OutboundRequest, send
from core.outbound.destination import parse_url
from core.parsing import read_json
from identity.sso.addresses import is_acceptable

if TYPE_CHECKING:
    from joserfc import errors, jwk
else:
    errors = LateModule("joserfc.errors")  # 4 MiB with what it needs, for who signs in so and for agents of bridges
    jwk = LateModule("joserfc.jwk")

LIMITS = Limits(connect=3.0, total=5.0, answer=128 * 1024)
KEPT = 600.0  # seconds that a document is good for
FAILURE_KEPT = 3.0  # seconds that a failed fetch is not repeated
REFETCHED = 10.0  # seconds between fetches of keys that an unknown `kid` causes
MOST_DOCUMENTS, MOST_KEYS = 256, 50
RSA_BITS = (2048, 8192)


@dataclasses.dataclass(frozen=True, slots=True)
class Provider:
    """The parts of a discovery document that signing in needs."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    posts_secret: bool  # whether the client's secret goes into the body instead of a header
    names_itself: bool  # whether every answer must say its issuer (RFC 9207)


@dataclasses.dataclass(slots=True)
class _Kept:
    outcome: dict[str, Any] | ProblemError
    fetched: float
    refetched: float = float("-inf")

    def is_good(self, now: float) -> bool:
        lifetime = FAILURE_KEPT if isinstance(self.outcome, ProblemError) else KEPT
        return now - self.fetched < lifetime


_documents: collections.OrderedDict[str, _Kept] = collections.OrderedDict()
_lock = threading.Lock()


def forget_documents() -> None:
    """Forgets everything fetched."""
    with _lock:
        _documents.clear()


def read_object(answer: OutboundAnswer, url: str) -> dict[str, Any]:
    """The JSON object in a provider's answer."""
    try:
        value = read_json(answer.body, limit=LIMITS.answer)
    except (MalformedBodyError, TooLargeError):
        value = None
    if not isinstance(value, dict):
        raise ProviderFailedError(f"{parse_url(url)} did not answer with a JSON object")
    return value


def _fetch(url: str) -> dict[str, Any]:
    answer = send(OutboundRequest("GET", url, {"Accept": "application/json"}, limits=LIMITS))
    if answer.status != 200:
        raise ProviderFailedError(f"{parse_url(url)} answered {answer.status} where its configuration should be")
    return read_object(answer, url)


def _get(url: str, *, again: bool = False) -> dict[str, Any]:
    """A document from memory or from its address. `again` fetches it anew, unless that was done just now."""
    now = time.monotonic()
    with _lock:
        kept = _documents.get(url)
        if kept is not None and again and now - kept.refetched >= REFETCHED:
            kept.refetched, must_fetch = now, True  # said before the fetch: others do not fetch meanwhile
        else:
            must_fetch = kept is None or not kept.is_good(now)
    if not must_fetch and kept is not None:
        return _given(kept.outcome)
    outcome: dict[str, Any] | ProblemError
    try:
        outcome = _fetch(url)
    except (ProviderFailedError, OutboundRefusedError) as error:
        outcome = error
    with _lock:
        _documents[url] = _Kept(outcome, time.monotonic(), kept.refetched if kept else float("-inf"))
        _documents.move_to_end(url)
        while len(_documents) > MOST_DOCUMENTS:
            _documents.popitem(last=False)
    return _given(outcome)


def _given(outcome: dict[str, Any] | ProblemError) -> dict[str, Any]:
    if isinstance(outcome, ProblemError):
        raise type(outcome)(outcome.message)
    return outcome


def find_provider(issuer_url: str) -> Provider:
    """What the provider says of itself. It must say it under the issuer that it was asked by."""
    url = f"{issuer_url.rstrip('/')}/.well-known/openid-configuration"
    document = _get(url)
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or issuer.rstrip("/") != issuer_url.rstrip("/"):
        raise ProviderFailedError(f"{parse_url(url)} calls itself by another issuer than the configuration does")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Provider(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint", url),
        token_endpoint=_endpoint(document, "token_endpoint", url),
        jwks_uri=_endpoint(document, "jwks_uri", url),
        userinfo_endpoint=_endpoint(document, "userinfo_endpoint", url) if "userinfo_endpoint" in document else None,
        posts_secret=isinstance(methods, list) and "client_secret_basic" not in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def _endpoint(document: dict[str, Any], name: str, url: str) -> str:
    address = document.get(name)
    try:
        if isinstance(address, str) and is_acceptable(parse_url(address)):
            return address
    except OutboundRefusedError:
        pass
    raise ProviderFailedError(f"{parse_url(url)} gives no usable {name!r}")


def find_key(provider: Provider, kid: object, algorithm: str) -> jwk.Key | None:
    """The provider's key of this id; without an id, its only one. An unknown id has the keys fetched once more."""
    for again in (False, True):
        keys = [key for key in read_keys(_get(provider.jwks_uri, again=again)) if serves(key, algorithm)]
        found = [key for key in keys if kid is None or key.kid == kid]
        if len(found) == 1:
            return found[0]
    return None


def read_keys(document: dict[str, Any]) -> list[jwk.Key]:
    """The public keys for signatures in a JWKS; what is of another kind, or of no safe size, is passed over."""
    listed = document.get("keys")
    keys = []
    for each in listed[:MOST_KEYS] if isinstance(listed, list) else ():
        if not isinstance(each, dict) or each.get("use", "sig") != "sig":
            continue
        try:
            key = jwk.import_key(each)
        except (errors.JoseError, ValueError, TypeError, KeyError):
            continue
        if is_safe(key):
            keys.append(key)
    return keys


def is_safe(key: jwk.Key) -> bool:
    """Whether a key is asymmetric, neither too small to be safe nor so large that using it takes long."""
    if isinstance(key, jwk.RSAKey):
        numbers = key.public_key.public_numbers()
        return RSA_BITS[0] <= numbers.n.bit_length() <= RSA_BITS[1] and numbers.e < 2**32
    return isinstance(key, jwk.ECKey | jwk.OKPKey)


def serves(key: jwk.Key, algorithm: str) -> bool:
    """Whether a key is of the kind that an algorithm uses."""
    kinds = {"R": jwk.RSAKey, "P": jwk.RSAKey, "ES": jwk.ECKey, "Ed": jwk.OKPKey}
    kind = next(kinds[start] for start in kinds if algorithm.startswith(start))
    return isinstance(key, kind) and key.alg in (None, algorithm)
