"""Signing what is sent: this API's own header, and those of Standard Webhooks."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
SHORTEST_KEY, LONGEST_KEY = 24, 64  # bytes, as Standard Webhooks says


def decoded_key(secret: str) -> bytes | None:
    """The key in a secret written as Standard Webhooks does, `whsec_` and base64; None where it is not."""
    if not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if SHORTEST_KEY <= len(key) <= LONGEST_KEY else None


def signature_headers(*, message_id: str, at: dt.datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt. The first secret is the newest; the others still count for receivers that have
    not changed over."""
    seconds = str(int(at.timestamp()))
    signed = f"{message_id}.{seconds}.".encode() + body
    versions = [f"v1,{_base64(_digest(decoded_key(secret) or secret.encode(), signed))}" for secret in secrets]
    return {
        "X-Synqly-Signature": f"sha256={_digest(secrets[0].encode(), body).hex()}",
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(versions),
    }


def _digest(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, content, hashlib.sha256).digest()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
