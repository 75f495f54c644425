"""What both protocols come to: an identity that a provider vouches for, or a refusal."""

from __future__ import annotations

import dataclasses

from core.errors import ProblemError
from identity.members.names import is_email

SKEW = 60  # seconds that a provider's clock and ours may differ


class SignInRefusedError(ProblemError):
    """A sign-in came to its end, and what the identity provider says is not enough to let its user in."""

    status = 403
    slug = "sign-in-refused"
    remedy = "Start the sign-in again; if it is refused again, show this answer to your administrator."


class SignInLostError(ProblemError):
    """An answer belongs to no sign-in under way in this browser: it was used before, has run out or is foreign."""

    slug = "sign-in-lost"
    remedy = "Start the sign-in again, in the browser that shall be signed in."


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is, in the words of an identity provider. Without a word on it, `email_verified` is None."""

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool | None = None
    fullname: str | None = None


def clean_email(text: object) -> str | None:
    """An e-mail address in lower case, such as a member may have; None for what is none."""
    if not isinstance(text, str) or not text.isascii():
        return None
    lowered = text.lower()
    return lowered if is_email(lowered) else None


def clean_fullname(*parts: object) -> str | None:
    """A display name from those parts that are text."""
    joined = " ".join(" ".join(part.split()) for part in parts if isinstance(part, str)).strip()
    return joined[:255] if joined.isprintable() and joined else None
