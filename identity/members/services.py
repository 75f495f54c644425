"""Making members, giving them roles, and keeping one administrator."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import orjson

from core.columns import is_id, new_id
from core.durations import duration_of
from core.errors import ConflictError, ForbiddenError, InvalidError, Parameter
from core.names import assign_name
from core.permissions import Principal
from identity.members.models import Member, MemberRole, MemberType, State
from identity.members.passwords import find_weakness, hash_password
from identity.permissionsets.sets import Permissions
from identity.roles.models import Role
from identity.tokens.models import Token, TokenType
from identity.tokens.rights import link_of, links_of, narrowing_of, refuse_beyond
from identity.tokens.services import delete_token
from organizations.models import Organization
from organizations.services import locked_organization

TTL, TOKEN_TTL = "87600h", "1h"  # ten years, and an hour
SHORTEST_PASSWORD = 8  # unless the organization says otherwise
DEFAULT_ROLE = "member"
STRICTEST_FIRST = (State.DISABLED, State.LOCKED, State.FORGOTTEN, State.INVITED)


class LastAdministratorError(ConflictError):
    """The change would leave the organization without an enabled administrator."""

    slug = "last-administrator"
    remedy = "Make another member an administrator first."


@dataclasses.dataclass(frozen=True, slots=True)
class MemberSpec:
    """What a new member is."""

    name: str
    secret: str | None = None  # none for who signs on elsewhere
    fullname: str | None = None
    nickname: str | None = None
    picture: str | None = None
    role_binding: Sequence[str] = (DEFAULT_ROLE,)
    type: str = MemberType.PERSONAL
    ttl: str = TTL
    token_ttl: str = TOKEN_TTL
    options: Sequence[str] = ()  # states to begin in; `expired` makes the secret good for one log-on only
    at: str = ""  # where in the body the member stands


def spec_of(asked: dict[str, Any], *, default_role: str = DEFAULT_ROLE, at: str = "") -> MemberSpec:
    """What a validated create body asks for."""
    asked = {"role_binding": [default_role], **asked}
    options = asked.pop("options", {})
    return MemberSpec(**asked, **{n: options[n] for n in ("ttl", "token_ttl", "options") if n in options}, at=at)


def create_member(*, spec: MemberSpec, by: Principal | None) -> Member:
    """A new member with its roles, none of which may hold more than `by` does."""
    now = dt.datetime.now(dt.UTC)
    state = next((each for each in STRICTEST_FIRST if each in spec.options), State.ENABLED)
    member = Member.in_scope(
        id=new_id(),
        nickname=spec.nickname,
        picture=spec.picture,
        type=spec.type,
        ttl=spec.ttl,
        token_ttl=spec.token_ttl,
        state=state,
        expires=now + duration_of(spec.ttl),
        created_at=now,
        password_set_at=now,
        given_at=now,
    )
    assign_name(member, name=spec.name, fullname=spec.fullname, at=f"{spec.at}/name")
    organization = organization_in_scope()
    if spec.secret is not None:
        refuse_weak(member=member, secret=spec.secret, rules=organization, at=f"{spec.at}/secret")
        member.password = hash_password(spec.secret)
    member.pin_expires = now if "expired" in spec.options else member.expires
    lock_administrators()  # a role that is being changed reaches this member, or has been changed before it is read
    roles = grant_roles(member=member, names=spec.role_binding, by=by, at=f"{spec.at}/role_binding")
    member.save(force_insert=True)
    bind_roles(member=member, roles=roles)
    return member


def is_called(member_id: str, identifier: str) -> bool:
    """Whether a member has this id or name, both compared without case."""
    identifier = identifier.lower()
    if is_id(identifier) or "\x00" in identifier:
        return identifier == member_id
    return bool(Member.objects.unnarrowed().filter(id=member_id, name=identifier).exists())


def organization_in_scope() -> Organization:
    organization: Organization = Organization.objects.unnarrowed().get()
    return organization


def refuse_weak(*, member: Member, secret: str, rules: Organization, at: str) -> None:
    """Raises when a new password is too short or too easy to guess."""
    least = (rules.options or {}).get("minimum_password_length") or SHORTEST_PASSWORD
    about = [member.name, member.fullname, member.nickname or "", rules.name, rules.fullname]
    if weakness := find_weakness(secret, least=least, about=about):
        raise InvalidError(f"{at}: {weakness}", at=Parameter("body", at))


def grant_roles(
    *, member: Member, names: Sequence[str], by: Principal | None, at: str = "/role_binding"
) -> Sequence[Role]:
    """Puts exactly these roles into a member. `bind_roles` follows, once the member is saved."""
    wanted = list(dict.fromkeys(names))
    roles = {role.name: role for role in Role.objects.unnarrowed().filter(name__in=wanted)}
    for number, name in enumerate(wanted):
        if name not in roles:
            raise InvalidError(f"{at}/{number}: does not exist", at=Parameter("body", f"{at}/{number}", name[:200]))
        if by is not None and name not in member.role_binding:
            refuse_greater(by=by, permission_set=roles[name].permission_set)
    granted = [roles[name] for name in wanted]
    set_rights(member=member, roles=granted)
    return granted


def bind_roles(*, member: Member, roles: Sequence[Role]) -> None:
    """The rows that say which roles a saved member has."""
    rows = MemberRole.objects.filter(member=member)
    rows.exclude(role__in=roles).delete()
    had = set(rows.values_list("role_id", flat=True))
    MemberRole.objects.bulk_create(
        MemberRole.in_scope(member=member, role=role) for role in roles if role.id not in had
    )


def refuse_greater_member(*, member: Member, by: Principal) -> None:
    """Raises when somebody changes, disables or deletes a member who may do more than they may."""
    links = links_of("[]", orjson.dumps(member.grants).decode())
    refuse_beyond(links, by.links, "nobody changes a member who may do more than they may")


def reset_password(*, member: Member, secret: str, by: Principal) -> None:
    """Puts a password into a member that is good for one log-on, and ends its sessions. Saving is the caller's.

    Its own a member changes with the old one: an open session alone must not be enough.
    """
    if member.id == by.member_id:
        raise ForbiddenError("of themselves, members change the password at /v1/auth/change_password")
    refuse_greater_member(member=member, by=by)
    refuse_weak(member=member, secret=secret, rules=organization_in_scope(), at="/secret")
    member.password, member.password_set_at = hash_password(secret), dt.datetime.now(dt.UTC)
    member.expires = member.password_set_at + duration_of(member.ttl)
    member.pin_expires = member.given_at = member.password_set_at
    for session in Token.objects.unnarrowed().filter(member=member, token_type=TokenType.LOGON):
        delete_token(token=session)


def set_rights(*, member: Member, roles: Sequence[Role]) -> None:
    """Puts what roles grant into the member; saving is the caller's."""
    member.role_binding = [role.name for role in roles]
    member.grants = [role.grant for role in roles]
    member.is_administrator = any(
        role.permission_set == Permissions.ADMINISTRATOR and not narrowing_of(role.resources or {}) for role in roles
    )


def spread_role(*, role_id: str) -> None:
    """Tells a changed role to the members that have it: their tokens follow on the next request."""
    holding = MemberRole.objects.unnarrowed().filter(role_id=role_id).values("member_id")
    for member in Member.objects.unnarrowed().select_for_update().filter(id__in=holding).order_by("id"):
        rows = MemberRole.objects.unnarrowed().filter(member=member).select_related("role").order_by("id")
        shown = member.role_binding
        set_rights(member=member, roles=[row.role for row in rows])
        if member.role_binding != shown:
            member.touch()
        member.save(update_fields=["role_binding", "grants", "is_administrator", "updated_at"])


def refuse_greater(*, by: Principal, permission_set: str) -> None:
    """Raises when a permission set, given for the whole organization, holds more than the principal does."""
    refusal = f"nobody can grant more than they have: {permission_set!r} holds more"
    refuse_beyond([link_of(permission_set)], by.links, refusal)


def lock_administrators() -> None:
    """Lets one change at a time decide who is an administrator. Call it before the members are read."""
    locked_organization()


def refuse_without_administrator(*, had: bool) -> None:
    """Undoes a change after which no enabled administrator is left, if there was one before."""
    if had and not has_administrator():
        raise LastAdministratorError("the organization's last enabled administrator must stay one")


def has_administrator() -> bool:
    return bool(Member.objects.unnarrowed().filter(is_administrator=True, state=State.ENABLED).exists())
