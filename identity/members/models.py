"""The member: a person or a machine that logs on, and the roles it has."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from core.columns import InstantColumn, JsonColumn, TextColumn
from core.fields import NO_INSTANT
from core.instants import format_instant
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel
from identity.members.terms import Rules, end_by, rotation_end
from identity.roles.models import Role


class MemberType(models.TextChoices):
    PERSONAL = "personal"
    SERVICE = "service"


class State(models.TextChoices):
    DISABLED = "disabled"
    ENABLED = "enabled"
    FORGOTTEN = "forgotten"
    INVITED = "invited"
    LOCKED = "locked"


MUST_CHANGE_PASSWORD = (State.INVITED, State.FORGOTTEN)
SHUT_OUT = (State.DISABLED, State.LOCKED)


class SecondFactorRule(models.TextChoices):
    """Who decides whether a session needs a second factor of this service."""

    ORGANIZATION = "organization"  # its option `require_second_factor`
    NEEDED = "needed"  # a configuration of single sign-on wants it
    ELSEWHERE = "elsewhere"  # nobody: the identity provider answers for it


def is_by_sign_on(rule: str) -> bool:
    """Whether a session was opened by single sign-on: then it does not depend on the member's password."""
    return rule != SecondFactorRule.ORGANIZATION


def is_password_over(*, state: str | None, expires: str, rotated: str, now: str) -> bool:
    """Whether a member must change its password before anything else. `rotated` is its `rotation_end`."""
    return state in MUST_CHANGE_PASSWORD or now >= min(expires, rotated)


def must_enrol(*, type_: str | None, enrolled: bool, rule: str, options: Rules) -> bool:
    """Whether a member must enrol a second factor before anything else."""
    if enrolled or type_ != MemberType.PERSONAL or rule == SecondFactorRule.ELSEWHERE:
        return False
    return rule == SecondFactorRule.NEEDED or bool(options.get("require_second_factor"))


class Member(Resource):
    """Whoever logs on to an organization. The name is an e-mail address, or an identifier of a service.

    States: `enabled` (works); `disabled` and `locked` (no log-on, and every token stops at once); `invited`
    and `forgotten` (may log on with the secret given, only to choose another, and is `enabled` by that, as by
    single sign-on). Who may update members may set any of them. A password must also be changed after `expires`
    (the member's `ttl`), after the organization's `password_duration`, and when it was given for one log-on: then
    `pin_expires` is no later than `password_set_at`.

    What others give has to be replaced within the organization's `invite_duration` or `forgot_duration` of
    `given_at`: when the password was given, or the state that asks for another.

    `grants` repeats what the roles grant, and `is_administrator` whether one of them grants everything
    everywhere, so that the check of a token stays one query.
    """

    resource_type = "member"

    state = TextColumn(max_length=16, choices=State.choices, default=State.ENABLED)
    last_logon = InstantColumn(default=NO_INSTANT)
    nickname = TextColumn(max_length=255, null=True, default=None)
    picture = TextColumn(max_length=2048, null=True, default=None)
    ttl = TextColumn(max_length=24)
    token_ttl = TextColumn(max_length=24)
    expires = InstantColumn()
    pin_expires = InstantColumn()
    role_binding = JsonColumn(default=list)
    type = TextColumn(max_length=16, choices=MemberType.choices, default=MemberType.PERSONAL)
    grants = JsonColumn(default=list)
    is_administrator = models.BooleanField(default=False)
    password = TextColumn(max_length=255, null=True)  # Argon2id; none for who signs on elsewhere
    password_set_at = InstantColumn()
    given_at = InstantColumn(default=timezone.now)
    has_second_factor = models.BooleanField(default=False)

    class Meta:
        constraints = [named_once("member")]
        indexes = sorted_by("member", "fullname", "created_at", "updated_at", "id", "last_logon")

    def must_change_password(self, now: dt.datetime, rules: Rules) -> bool:
        """Whether it may do nothing else first, in a session by password."""
        rotated = rotation_end(format_instant(self.pin_expires), format_instant(self.password_set_at), rules)
        expires = format_instant(self.expires)
        return is_password_over(state=self.state, expires=expires, rotated=rotated, now=format_instant(now))

    def is_overdue(self, now: dt.datetime, rules: Rules) -> bool:
        """Whether a password that somebody else has given was not replaced in time."""
        if self.state not in MUST_CHANGE_PASSWORD and self.pin_expires > self.password_set_at:
            return False
        is_first = self.state == State.ENABLED and self.password_set_at <= self.created_at
        option = "invite_duration" if is_first or self.state == State.INVITED else "forgot_duration"
        return format_instant(now) >= end_by(rules, option, format_instant(self.given_at))


class MemberRole(TenantModel):
    """A role of a member. A role that someone has cannot be deleted."""

    resource_type: ClassVar[str] = "member"  # which stands in the way then, by `holder_id`

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    member = models.ForeignKey(Member, models.CASCADE, related_name="role_rows")
    role = models.ForeignKey(Role, models.RESTRICT, related_name="member_rows")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["member", "role"], name="member_role_once")]

    def __str__(self) -> str:
        return f"role {self.role_id} of member {self.member_id}"

    @property
    def holder_id(self) -> str:
        return str(self.member_id)
