"""The text of a token: `sqm_<public id>_<secret><checksum>`, all base62."""

from __future__ import annotations

import re
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_TOKEN = re.compile(r"sqm_([0-9A-Za-z]{16})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})\Z")


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def new_secret() -> tuple[str, str]:
    """A new public id and the whole text of its token (256 bits of secret)."""
    public_id = _random(16)
    head = f"sqm_{public_id}_{_random(43)}"
    return public_id, head + _checksum(head)


def public_id_of(text: str) -> str | None:
    """The public id in a token's text; None when it is no token, which its checksum tells without a look-up."""
    match = _TOKEN.match(text)
    if match is None or _checksum(text[:-6]) != match[3]:
        return None
    return match[1]


def masked(public_id: str) -> str:
    """What later reads show of a secret."""
    return f"sqm_{public_id}_***"
