"""The member: a person or a machine that logs on, and the roles it has."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db import models

from core.columns import InstantColumn, JsonColumn, TextColumn
from core.fields import NO_INSTANT
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel
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


def is_password_over(state: str | None, expires: Any, pin_expires: Any, now: Any) -> bool:
    """Whether a member must change its password before anything else. The times are moments, or texts of the wire."""
    return state in MUST_CHANGE_PASSWORD or bool(now >= min(expires, pin_expires))


def must_enrol(*, type_: str | None, enrolled: bool, rule: str, options: Mapping[str, Any]) -> bool:
    """Whether a member must enrol a second factor before anything else."""
    if enrolled or type_ != MemberType.PERSONAL or rule == SecondFactorRule.ELSEWHERE:
        return False
    return rule == SecondFactorRule.NEEDED or bool(options.get("require_second_factor"))


class Member(Resource):
    """Whoever logs on to an organization. The name is an e-mail address, or an identifier of a service.

    States: `enabled` (works); `disabled` and `locked` (no log-on, and every token stops at once); `invited`
    and `forgotten` (may log on with the secret given, only to choose another, and is `enabled` by that). Who
    may update members may set any of them. The same as `forgotten` holds after `expires` (the member's
    `ttl`) and `pin_expires` (the organization's `password_duration`).

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
    has_second_factor = models.BooleanField(default=False)

    class Meta:
        constraints = [named_once("member")]
        indexes = sorted_by("member", "fullname", "created_at", "updated_at", "id", "last_logon")

    def must_change_password(self, now: dt.datetime) -> bool:
        """Whether it may do nothing else first."""
        return is_password_over(self.state, self.expires, self.pin_expires, now)


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
