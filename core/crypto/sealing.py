"""Sealed values: an envelope opens only in the place it was sealed for."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable

from cryptography.exceptions import InvalidTag

from core.crypto.hierarchy import NoKeyError, OpenedKey, organization_key
from core.crypto.primitives import BOX_OVERHEAD, KEY_SIZE, NONCE_SIZE, derive, expand, lock, pack, same, unlock

FORMAT = b"sqm2"
# Each format there was, and what makes two keys of its data key.
FORMATS: dict[bytes, Callable[[bytes, bytes, int], bytes]] = {b"sqm1": derive, FORMAT: expand}
_HEADER = struct.Struct(">4sI")  # format, generation of the organization key
_DRAWN = struct.Struct(f"{KEY_SIZE}s{NONCE_SIZE}s{NONCE_SIZE}s")  # a data key, and the nonces of two boxes
_COMMITMENT_AT = _HEADER.size + BOX_OVERHEAD + KEY_SIZE
_CONTENT_AT = _COMMITMENT_AT + KEY_SIZE
_INFO = b"synqmgr sealed value 1: key, commitment"


class SealError(Exception):
    """A value cannot be sealed or opened here. The message holds nothing of the value."""


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value belongs."""

    organization_id: str
    owner_type: str
    owner_id: str
    credential_id: str
    version: int


def seal(place: Place, plaintext: bytes) -> bytes:
    """Seal under the organization's newest key."""
    try:
        key = organization_key(organization_id=place.organization_id)
    except NoKeyError:
        raise SealError("the organization has no key: it was deleted") from None
    return _seal_under(key, place, plaintext)


def open_sealed(place: Place, envelope: bytes) -> bytes:
    """What was sealed for this very place; anything else is refused."""
    envelope = bytes(envelope)  # PostgreSQL may hand out a memoryview
    if len(envelope) < _CONTENT_AT + BOX_OVERHEAD:
        raise SealError("the envelope is cut short")
    name, generation = _HEADER.unpack_from(envelope)
    if name not in FORMATS:
        raise SealError("the envelope is of an unknown format")
    try:
        key = organization_key(organization_id=place.organization_id, generation=generation)
    except NoKeyError:
        raise SealError("the organization has no key of the envelope's generation") from None
    return _open_under(key, place, envelope, name)


def _seal_under(key: OpenedKey, place: Place, plaintext: bytes) -> bytes:
    associated = _associate(FORMAT, place)
    data_key, first, second = _DRAWN.unpack(os.urandom(_DRAWN.size))  # at once: each call asks the system
    content_key, commitment = _two_keys(FORMAT, data_key)
    return b"".join(
        (
            _HEADER.pack(FORMAT, key.generation),
            lock(key.secret, data_key, associated, first),
            commitment,
            lock(content_key, plaintext, associated, second),
        )
    )


def _open_under(key: OpenedKey, place: Place, envelope: bytes, name: bytes) -> bytes:
    associated = _associate(name, place)
    try:
        data_key = unlock(key.secret, envelope[_HEADER.size : _COMMITMENT_AT], associated)
        content_key, commitment = _two_keys(name, data_key)
        # GCM alone lets one ciphertext open under two keys; the commitment names the one.
        if not same(commitment, envelope[_COMMITMENT_AT:_CONTENT_AT]):
            raise SealError("the envelope does not commit to its key")
        return unlock(content_key, envelope[_CONTENT_AT:], associated)
    except InvalidTag:
        raise SealError("the envelope does not open in this place") from None


def _two_keys(name: bytes, data_key: bytes) -> tuple[bytes, bytes]:
    """The key that seals, and the commitment to it."""
    both = FORMATS[name](data_key, _INFO, 2 * KEY_SIZE)
    return both[:KEY_SIZE], both[KEY_SIZE:]


def _associate(name: bytes, place: Place) -> bytes:
    texts = place.organization_id, place.owner_type, place.owner_id, place.credential_id, str(place.version)
    return pack(name, *map(str.encode, texts))
