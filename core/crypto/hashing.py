"""Keyed hashes: a stolen table of tokens neither reveals nor confirms one."""

from __future__ import annotations

import functools

from cryptography.hazmat.primitives.hmac import HMAC
from django.db import transaction

from core.crypto.hierarchy import system_key
from core.crypto.primitives import authenticate, authenticator, same

__all__ = ["forget_keys", "keyed_hash", "same"]

_keys: dict[str, HMAC] = {}


def keyed_hash(secret: str, purpose: str = "token") -> bytes:
    """HMAC-SHA256 under the installation's key for the purpose."""
    key = _keys.get(purpose)
    if key is None:
        key = authenticator(system_key(purpose=purpose).secret)
        # The row may be this transaction's own: what is rolled back must not stay in memory.
        transaction.on_commit(functools.partial(_keys.__setitem__, purpose, key))
    return authenticate(key, secret.encode(errors="surrogatepass"))


def forget_keys() -> None:
    """Forget the keys kept in memory, for a process whose database was replaced."""
    _keys.clear()
