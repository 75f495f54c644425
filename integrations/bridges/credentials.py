"""The credential of a bridge's agents: a token signed with a key of the organization, which is stored nowhere."""

from __future__ import annotations

import binascii
import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings

from core.columns import is_id
from core.crypto.hierarchy import NoKeyError, organization_key
from core.crypto.primitives import KEY_SIZE, derive
from core.errors import UnauthenticatedError
from core.late import LateModule
from core.tenancy import Scope, scoped
from integrations.bridges.models import Bridge

if TYPE_CHECKING:
    from joserfc import errors, jwk, jwt
else:
    errors = LateModule("joserfc.errors")
    jwk = LateModule("joserfc.jwk")
    jwt = LateModule("joserfc.jwt")

ALGORITHM, AUDIENCE = "HS256", "synqmgr-bridge"
LIVES = dt.timedelta(days=365)
LONGEST = 4096
_INFO = b"synqmgr bridge credential 1"
_CLAIMS: dict[str, Any] = {name: {"essential": True} for name in ("iss", "sub", "iat", "exp", "jti")}
_SKEW = 60  # seconds that the clocks of servers may differ


class BridgeCredentialError(UnauthenticatedError):
    """The credential of the agent is malformed, forged, expired, or of a bridge that was deleted."""

    slug = "bridge-credential"
    remedy = "Create a bridge and start the agent with the credential that is shown then."


def issue_credential(*, bridge: Bridge) -> str:
    """The credential of a new bridge's agents. The service's own address is in it, so that they know where to call."""
    key = organization_key(organization_id=bridge.organization_id)
    now = dt.datetime.now(dt.UTC)
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": f"{bridge.organization_id}.{key.generation}"}
    claims = {
        "iss": settings.PUBLIC_URL,
        "aud": AUDIENCE,
        "sub": bridge.id,
        "iat": int(now.timestamp()),
        "exp": int((now + LIVES).timestamp()),
        "jti": bridge.credential_id,
        "organization_id": bridge.organization_id,
        "account_id": bridge.account_id,
    }
    return jwt.encode(header, claims, _signing_key(key.secret), algorithms=[ALGORITHM])


@dataclasses.dataclass(frozen=True, slots=True)
class AgentCredential:
    """What a credential with a good signature says. Whether the bridge still has it is the bridge's to say."""

    organization_id: str
    bridge_id: str
    credential_id: str


def read_credential(text: str) -> AgentCredential:
    """A credential that was signed for an organization of this service and has not expired.

    The issuer is not compared: only this installation has the key, and its address may change.
    """
    try:
        token = jwt.decode(text[: LONGEST + 1], _find_key, algorithms=[ALGORITHM])
        known = jwt.JWTClaimsRegistry(leeway=_SKEW, aud={"essential": True, "value": AUDIENCE}, **_CLAIMS)
        known.validate(token.claims)
    except (errors.JoseError, NoKeyError, ValueError, TypeError, KeyError, binascii.Error):
        # Whatever is wrong with it, one answer: which part failed is nobody's business.
        raise BridgeCredentialError("the agent's credential is not valid: malformed, forged or expired") from None
    organization_id, _ = _key_name(token.header)
    bridge_id, credential_id = token.claims["sub"], token.claims["jti"]
    return AgentCredential(organization_id, bridge_id, credential_id)


def _find_key(signed: Any) -> jwk.OctKey:
    """The key that the header names: what it names is believed once the signature made with it is good."""
    organization_id, generation = _key_name(signed.headers())
    with scoped(Scope(organization_id)):
        return _signing_key(organization_key(organization_id=organization_id, generation=generation).secret)


def _key_name(header: Mapping[str, Any]) -> tuple[str, int]:
    """The organization and the generation of its key that a header names."""
    kid = header.get("kid")
    organization_id, _, generation = kid.partition(".") if isinstance(kid, str) else ("", "", "")
    if not (is_id(organization_id) and generation.isascii() and generation.isdigit() and len(generation) < 9):
        raise ValueError("no key of an organization is named")
    return organization_id, int(generation)


def _signing_key(secret: bytes) -> jwk.OctKey:
    return jwk.OctKey.import_key(derive(secret, _INFO, KEY_SIZE))
