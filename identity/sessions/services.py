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
from identity.members.models import MUST_CHANGE_PASSWORD, Member, SecondFactorRule, State, must_enrol
from identity.members.passwords import hash_password, verify_password
from identity.members.services import organization_in_scope, password_duration, refuse_weak
from identity.sessions.attempts import attempt_key, forgive, take_attempt
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

    Every way to be wrong takes as long and shows the same. The attempt counts as failed until all is proved.
    """
    take_attempt(key)
    named = Member.objects.unnarrowed().filter(name=name.replace("\x00", "\ufffd")).values_list("id", "password")
    member_id, hashed = named.first() or (None, None)
    if not verify_password(secret, hashed):
        raise LogonFailedError("the name or the password is not right")
    member: Member = Member.objects.unnarrowed().get(id=member_id)
    if member.password != hashed:
        raise LogonFailedError("the name or the password is not right")
    if member.has_second_factor:
        _prove_second_factor(member=member, code=code)
    forgive(key)
    refuse_shut_out(member)
    return member


def prove_second_factor(*, member: Member, code: str | None, address: str) -> None:
    """Raises unless the code is one of the member's. Guesses are counted apart from those at a password."""
    key = attempt_key("sign on", member.id, address=address)
    take_attempt(key)
    _prove_second_factor(member=member, code=code)
    forgive(key)


def _prove_second_factor(*, member: Member, code: str | None) -> None:
    if code is None:
        raise SecondFactorRequiredError("the member's second factor is needed as well")
    with transaction.atomic():
        is_right = check_code(member=member, code=code)
    if not is_right:
        raise LogonFailedError("the code of the second factor is not right, or has been used")


def refuse_shut_out(member: Member) -> None:
    """Raises for members that may not log on, whatever they know."""
    if member.state == State.DISABLED:
        raise MemberDisabledError("the member is disabled")
    if member.state == State.LOCKED:
        raise MemberLockedError("the member is locked")


@transaction.atomic
def open_session(*, member: Member, rule: SecondFactorRule = SecondFactorRule.ORGANIZATION) -> Session:
    """A token that stands for the member, with what its roles grant when it is used."""
    now = dt.datetime.now(dt.UTC)
    member, organization = locked_as_verified(member), organization_in_scope()
    refuse_shut_out(member)
    spec = TokenSpec(
        permission_set=None,
        ttl=member.token_ttl,
        token_type=TokenType.LOGON,
        member_id=member.id,
        second_factor=rule,
        fullname=member.name,
    )
    issued = issue_token(spec=spec)
    member.last_logon = now
    member.save(update_fields=["last_logon"])
    code, message = "success", None
    if member.must_change_password(now):
        code = "invited" if member.state == State.INVITED else "expired"
        message = "The password must be changed; until then the token allows nothing else."
    elif must_enrol(
        type_=member.type, enrolled=member.has_second_factor, rule=rule, options=organization.options or {}
    ):
        message = "A second factor must be enrolled; until then the token allows nothing else."
    return Session(code, message, organization, member, issued)


def change_password(  # noqa: PLR0913 - what the change needs, and the news of it
    *, member: Member, old_secret: str, new_secret: str, token_id: str, address: str, then: Callable[[], None]
) -> None:
    """Gives the member another password. Its other sessions end. `then` is done in the same transaction, last."""
    key = attempt_key("change", member.id, address=address)
    take_attempt(key)
    if not verify_password(old_secret, member.password):
        raise ForbiddenError("the old password is not right", at=Parameter("body", "/old_secret"))
    forgive(key)
    if old_secret == new_secret:
        raise InvalidError("/new_secret: must be another than the old one", at=Parameter("body", "/new_secret"))
    organization = organization_in_scope()
    refuse_weak(member=member, secret=new_secret, rules=organization, at="/new_secret")
    hashed = hash_password(new_secret)
    with transaction.atomic():
        set_password(member=locked_as_verified(member), hashed=hashed, rules=organization)
        for other in Token.objects.filter(member=member, token_type=TokenType.LOGON).exclude(id=token_id):
            delete_token(token=other)
        then()


def locked_as_verified(member: Member) -> Member:
    """The member as it is now, locked, if its password is still the one that was verified."""
    now: Member = Member.objects.unnarrowed().select_for_update().get(id=member.id)
    if now.password != member.password:
        raise LogonFailedError("the password has been changed meanwhile")
    return now


def set_password(*, member: Member, hashed: str, rules: Organization) -> None:
    """Stores a password and starts its durations anew. The rest of the member is not written."""
    now = dt.datetime.now(dt.UTC)
    member.password, member.password_set_at = hashed, now
    member.expires, member.pin_expires = now + duration_of(member.ttl), now + password_duration(rules)
    if member.state in MUST_CHANGE_PASSWORD:
        member.state = State.ENABLED
    member.touch()
    member.save(update_fields=["password", "password_set_at", "expires", "pin_expires", "state", "updated_at"])
