"""The door to members, all that signing in needs of them. Until there are members, it lets nobody in."""

from __future__ import annotations

from identity.sso.identities import SignInRefusedError

_NONE = "the organization has no members who could sign in"


def find_member(email: str) -> str | None:
    """The id of the member with this e-mail address, if there is one who may sign in."""
    raise SignInRefusedError(_NONE)


def create_member(*, email: str, fullname: str | None) -> str:
    """The id of a new member with the role `member`."""
    raise SignInRefusedError(_NONE)


def open_session_of(member_id: str) -> dict[str, object]:
    """The answer of a logon: a new session of a member who may still sign in."""
    raise SignInRefusedError(_NONE)
