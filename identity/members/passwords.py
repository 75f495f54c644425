"""Passwords: hashed with Argon2id, and refused when they are easy to guess."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.late import LateModule

if TYPE_CHECKING:
    import zxcvbn
else:
    zxcvbn = LateModule("zxcvbn")  # 12 MiB of words, for whoever chooses a password

LONGEST = 256  # characters; Argon2id has no limit of its own
LEAST_SCORE = 3  # of zxcvbn's 0 to 4: safely unguessable, for a hash as slow as this one
JUDGED = 72  # characters: what comes after adds no weakness and takes long to judge

# 12 MiB and three passes, one of the equal choices of OWASP's: an unknown caller must not take more memory.
_hasher = PasswordHasher(time_cost=3, memory_cost=12 * 1024, parallelism=1)


def hash_password(secret: str) -> str:
    return _hasher.hash(secret)


def verify_password(secret: str, hashed: str | None) -> bool:
    """Whether the password is the one. It takes as long when there is none to compare with."""
    try:
        _hasher.verify(hashed or _nobodys(), secret)
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


@functools.cache
def _nobodys() -> str:
    return _hasher.hash("the password of nobody")


def find_weakness(secret: str, *, least: int, about: list[str]) -> str | None:
    """What is wrong with a new password, in words for whoever chose it; None when it is good.

    `about` is what is known of the member and the organization: it is guessed first.
    """
    if len(secret) < least:
        return f"must have at least {least} characters"
    words = [word for text in about for word in (text, *re.split(r"[^0-9A-Za-z]+", text)) if len(word) > 2]
    judged = zxcvbn.zxcvbn(secret[:JUDGED], user_inputs=words)
    if judged["score"] >= LEAST_SCORE:
        return None
    hints = " ".join(filter(None, (judged["feedback"]["warning"], *judged["feedback"]["suggestions"])))
    return f"is too easy to guess. {hints}".strip()
