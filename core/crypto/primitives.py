"""The only calls into a cipher, a derivation or a hash: everything sealed or hashed goes through these."""

from __future__ import annotations

import os
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import constant_time, hashes, hmac
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

KEY_SIZE = 32
NONCE_SIZE = 12
TAG_SIZE = 16
BOX_OVERHEAD = NONCE_SIZE + TAG_SIZE
_SHA256 = hashes.SHA256()
_LENGTH = struct.Struct(">I").pack


def pack(*parts: bytes) -> bytes:
    """A list as bytes: each part behind its length, so that two different lists never look alike."""
    return b"".join([_LENGTH(len(part)) + part for part in parts])


def encrypt(key: bytes, nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """AES-256-GCM: the ciphertext with its tag behind it."""
    _check_sizes(key, nonce)
    return AESGCM(key).encrypt(nonce, plaintext, associated)


def decrypt(key: bytes, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """The plaintext, or InvalidTag."""
    _check_sizes(key, nonce)
    return AESGCM(key).decrypt(nonce, ciphertext, associated)


def lock(key: bytes, plaintext: bytes, associated: bytes, nonce: bytes | None = None) -> bytes:
    """A box: a random nonce, unless a caller has drawn one with what else it needs, and what `encrypt` made with it."""
    nonce = nonce or os.urandom(NONCE_SIZE)
    _check_sizes(key, nonce)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated)


def unlock(key: bytes, box: bytes, associated: bytes) -> bytes:
    """What `lock` put into the box, or InvalidTag."""
    if len(box) < BOX_OVERHEAD:
        raise InvalidTag
    return decrypt(key, box[:NONCE_SIZE], box[NONCE_SIZE:], associated)


def derive(secret: bytes, info: bytes, size: int, salt: bytes | None = None) -> bytes:
    """HKDF-SHA256."""
    return HKDF(_SHA256, size, salt, info).derive(secret)


def expand(secret: bytes, info: bytes, size: int) -> bytes:
    """HKDF-SHA256 without its first step, which a secret does not need that is random in every bit (RFC 5869, 3.3)."""
    return HKDFExpand(_SHA256, size, info).derive(secret)


def authenticator(key: bytes) -> hmac.HMAC:
    """HMAC-SHA256 under a key that is used again and again: setting it up takes as long as what follows."""
    return hmac.HMAC(key, _SHA256)


def authenticate(key: bytes | hmac.HMAC, message: bytes) -> bytes:
    """HMAC-SHA256."""
    mac = authenticator(key) if isinstance(key, bytes) else key.copy()
    mac.update(message)
    return mac.finalize()


def same(a: bytes, b: bytes) -> bool:
    """Whether two byte strings are equal, in a time that tells nothing of where they differ."""
    return constant_time.bytes_eq(a, b)


def _check_sizes(key: bytes, nonce: bytes) -> None:
    if len(key) != KEY_SIZE or len(nonce) != NONCE_SIZE:
        raise ValueError(f"a key has {KEY_SIZE} bytes and a nonce {NONCE_SIZE}")
