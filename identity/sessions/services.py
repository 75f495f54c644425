"""Logging on and off, and changing the password."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

from django.db import transaction

from core.columns import is_id
from core.durations import duration_of
from core.errors import ForbiddenError, InvalidError, Parameter, ProblemError
from core.tenancy import unscoped
from identity.members.models import (
    MUST_CHANGE_PASSWORD,
    Member,
    SecondFactorRule,
    State,
    is_by_sign_on,
    must_enrol,
)
from identity.members.passwords import hash_password, verify_password
from identity.members.services import organization_in_scope, refuse_weak
from identity.sessions.attempts import attempt_key, count_failure, forgive, refuse_waiting
from identity.sessions.factors import check_code
from identity.tokens.models import Token, TokenType
from identity.tokens.services import IssuedToken, TokenSpec, delete_token, issue_token
from organizations.models import Organization


class LogonFailedError(ProblemError):
    """No member of the organization has this name and password. Which of them is wrong is not said."""

    status = 401
    slug = "logon-failed"
    remedy = "Check organization, name and password."


class SecondFactorRequiredError(ProblemError):
    """The password is right, and the member's second factor is needed as well."""

    status = 401
    slug = "second-factor-required"
    remedy = "Send the authenticator's code, or a recovery code, as `code`."


class MemberDisabledError(ProblemError):
    """The member is disabled."""

    status = 403
    slug = "member-disabled"
    remedy = "Ask an administrator of the organization to enable the member."


class MemberLockedError(ProblemError):
    """The member is locked."""

    status = 403
    slug = "member-locked"
    remedy = "Ask an administrator of the organization to unlock the member."


class PasswordOverdueError(ProblemError):
    """The password was given with an invitation or by an administrator, and was not replaced in time."""

    status = 403
    slug = "password-overdue"
    remedy = "Ask an administrator of the organization for another password."


@dataclasses.dataclass(frozen=True, slots=True)
class Session:
    """Whoever has logged on, with the token that stands for it. `auth_code` is the contract's."""

    auth_code: str
    auth_msg: str | None
    organization: Organization
    member: Member
    issued: IssuedToken


def find_organization(identifier: str) -> str | None:
    """The id of a log-on's organization, which is named by id or name. No more is read: that would take time."""
    identifier = identifier.lower()
    column = "id" if is_id(identifier) else "name"
    if "\x00" in identifier:
        return None
    with unscoped("a log-on names its organization before any scope exists"):
        found: str | None = Organization.objects.filter(**{column: identifier}).values_list("id", flat=True).first()
    return found


def authenticate_member(*, name: str, secret: str, code: str | None, key: bytes) -> Member:
    """The member of this name in the organization in scope, if the secrets are right.

    Every way to be wrong takes as long and shows the same.
    """
    refuse_waiting(key)
    named = Member.objects.unnarrowed().filter(name=name.replace("\x00", "\ufffd")).values_list("id", "password")
    member_id, hashed = named.first() or (None, None)
    if not verify_password(secret, hashed):
        count_failure(key)
        raise LogonFailedError("the name or the password is not right")
    forgive(key)
    member: Member = Member.objects.unnarrowed().get(id=member_id)
    if member.password != hashed:
        raise LogonFailedError("the name or the password is not right")
    if member.has_second_factor:
        prove_second_factor(member=member, code=code)
    refuse_shut_out(member)
    return member


def prove_second_factor(*, member: Member, code: str | None) -> None:
    """Raises unless the code is one of the member's, who has proved all else."""
    if code is None:
        raise SecondFactorRequiredError("the member's second factor is needed as well")
    if not is_code_right(member=member, code=code):
        raise LogonFailedError("the code of the second factor is not right, or has been used")


def is_code_right(*, member: Member, code: str) -> bool:
    """Whether a code is one of the member's; it is spent by that. Wrong ones count wherever they come from.

    Ask for it last: whoever gets this far can make the member wait.
    """
    key = attempt_key("code", member.id)
    refuse_waiting(key)
    with transaction.atomic():
        is_right = check_code(member=member, code=code)
    (forgive if is_right else count_failure)(key)
    return is_right


def refuse_shut_out(member: Member) -> None:
    """Raises for members that may not log on, whatever they know."""
    if member.state == State.DISABLED:
        raise MemberDisabledError("the member is disabled")
    if member.state == State.LOCKED:
        raise MemberLockedError("the member is locked")


@transaction.atomic
def open_session(
    *, member: Member, rule: SecondFactorRule = SecondFactorRule.ORGANIZATION, sso_id: str | None = None
) -> Session:
    """A token that stands for the member, with what its roles grant when it is used."""
    now = dt.datetime.now(dt.UTC)
    member, organization = locked_as_verified(member), organization_in_scope()
    refuse_shut_out(member)
    if is_by_sign_on(rule):
        accept_sign_on(member)
    else:
        refuse_overdue(member, organization)
    spec = TokenSpec(
        permission_set=None,
        ttl=member.token_ttl,
        token_type=TokenType.LOGON,
        member_id=member.id,
        second_factor=rule,
        sso_id=sso_id,
        fullname=member.name,
    )
    issued = issue_token(spec=spec)
    member.last_logon = now
    member.save(update_fields=["last_logon", "state", "pin_expires", "updated_at"])
    return Session(*_comes_first(member, rule, organization), organization, member, issued)


def accept_sign_on(member: Member) -> None:
    """Whoever the identity provider vouches for needs no password to be let in. One that was given stays as good as
    it was: for one log-on, to choose another.
    """
    if member.state in MUST_CHANGE_PASSWORD:
        member.state, member.pin_expires = State.ENABLED, member.password_set_at
        member.touch()


def refuse_overdue(member: Member, organization: Organization) -> None:
    """Raises when the member's password was given by somebody else and was not replaced in time."""
    if member.is_overdue(dt.datetime.now(dt.UTC), organization.options or {}):
        raise PasswordOverdueError("the password was good for a time, to choose another, and that is over")


def _comes_first(member: Member, rule: SecondFactorRule, organization: Organization) -> tuple[str, str | None]:
    """The contract's code of a log-on, and what has to be done before anything else."""
    rules = organization.options or {}
    if not is_by_sign_on(rule) and member.must_change_password(dt.datetime.now(dt.UTC), rules):
        code = "invited" if member.state == State.INVITED else "expired"
        return code, "The password must be changed; until then the token allows nothing else."
    if must_enrol(type_=member.type, enrolled=member.has_second_factor, rule=rule, options=rules):
        return "success", "A second factor must be enrolled; until then the token allows nothing else."
    return "success", None


def prove_password(*, member: Member, secret: str, address: str, at: str) -> None:
    """Raises unless the password is the member's, who asks in a session: that alone may have been stolen."""
    key = attempt_key("change", member.id, address=address)
    refuse_waiting(key)
    if not verify_password(secret, member.password):
        count_failure(key)
        raise ForbiddenError("the password is not right", at=Parameter("body", at))
    forgive(key)


def refuse_enrolling(*, member: Member, token_id: str, secret: str | None, address: str) -> None:
    """Raises unless whoever enrols a second factor knows the password. Members who sign on elsewhere may have none."""
    session = Token.objects.unnarrowed().filter(id=token_id)
    if session.exclude(second_factor=SecondFactorRule.ORGANIZATION).exists():
        return
    if secret is None:
        raise InvalidError("/secret: is required", at=Parameter("body", "/secret"))
    prove_password(member=member, secret=secret, address=address, at="/secret")


def change_password(  # noqa: PLR0913 - what the change needs, and the news of it
    *, member: Member, old_secret: str, new_secret: str, token_id: str, address: str, then: Callable[[], None]
) -> None:
    """Gives the member another password. Its other sessions end. `then` is done in the same transaction, last."""
    prove_password(member=member, secret=old_secret, address=address, at="/old_secret")
    if old_secret == new_secret:
        raise InvalidError("/new_secret: must be another than the old one", at=Parameter("body", "/new_secret"))
    organization = organization_in_scope()
    refuse_overdue(member, organization)
    refuse_weak(member=member, secret=new_secret, rules=organization, at="/new_secret")
    hashed = hash_password(new_secret)
    with transaction.atomic():
        set_password(member=locked_as_verified(member), hashed=hashed)
        for other in Token.objects.filter(member=member, token_type=TokenType.LOGON).exclude(id=token_id):
            delete_token(token=other)
        then()


def locked_as_verified(member: Member) -> Member:
    """The member as it is now, locked, if its password is still the one that was verified."""
    now: Member = Member.objects.unnarrowed().select_for_update().get(id=member.id)
    if now.password != member.password:
        raise LogonFailedError("the password has been changed meanwhile")
    return now


def set_password(*, member: Member, hashed: str) -> None:
    """Stores a password that the member has chosen, and starts its durations anew. The rest is not written."""
    now = dt.datetime.now(dt.UTC)
    member.password, member.password_set_at = hashed, now
    member.expires = member.pin_expires = now + duration_of(member.ttl)
    if member.state in MUST_CHANGE_PASSWORD:
        member.state = State.ENABLED
    member.touch()
    member.save(update_fields=["password", "password_set_at", "expires", "pin_expires", "state", "updated_at"])
