"""Issuing and ending tokens."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from core.columns import new_id
from core.crypto.hashing import keyed_hash
from core.durations import duration_of
from core.errors import InvalidError, Parameter, UnauthenticatedError
from core.instants import format_instant
from core.names import assign_name
from core.permissions import Grant, Principal, allows
from core.tenancy import current_scope
from identity.members.models import Member, SecondFactorRule
from identity.permissionsets.sets import PERMISSION_SETS, Permissions
from identity.tokens.models import Slot, Surface, Token, TokenOwnerType, TokenSecret, TokenType
from identity.tokens.networks import common_networks
from identity.tokens.rights import StoredLink, link_of, refuse_beyond, the_account_of
from identity.tokens.secrets import new_secret

ADHOC_TTL = "24h"
MCP_TTL, LONGEST_MCP = "1h", "24h"  # of the MCP surface; the second also in all, however often it is renewed
Pair = dict[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True, slots=True)
class TokenSpec:
    """What a new token is for."""

    permission_set: str | None  # none on the management API: a token of the connector API
    resources: dict[str, Any] = dataclasses.field(default_factory=dict)
    verbs: Sequence[str] = ()  # these of the permission set only
    ttl: str = ADHOC_TTL  # of the access secret
    refresh_ttl: str | None = None  # of the refresh secret; the same when not given
    name: str | None = None
    fullname: str | None = None
    owner_type: TokenOwnerType = TokenOwnerType.ORGANIZATION
    owner_id: str | None = None  # the organization in scope when not given
    account_id: str | None = None
    token_type: TokenType = TokenType.ADHOC
    surface: Surface = Surface.MANAGEMENT
    name_at: str = "/name"  # where in the body the name stands
    member_id: str | None = None
    second_factor: SecondFactorRule = SecondFactorRule.ORGANIZATION  # the parent's, if there is one
    sso_id: str | None = None  # of the configuration that a session was opened by
    networks: list[str] | None = None  # to ask from, in CIDR notation; any when not given
    claims: dict[str, Any] = dataclasses.field(default_factory=dict)  # shown as they are


@dataclasses.dataclass(frozen=True, slots=True)
class IssuedToken:
    """A new token and, this once, the text of its secrets by kind."""

    token: Token
    secrets: dict[str, str]


def issue_token(*, spec: TokenSpec, parent: Token | None = None, within: Token | None = None) -> IssuedToken:
    """Makes a token with a primary pair. Its rights are its own and all of its parent's; it ends with it at the latest.

    `within` is a token that hands this one out without being its parent: its resources hold, its verbs and end do not.
    """
    own = _own_links(spec)
    grants = own + [link for link in (parent.grants if parent else []) if link not in own]
    if within is not None:
        grants += bounds_of(within)
    now = dt.datetime.now(dt.UTC)
    member_id = spec.member_id or (parent.member_id if parent else None)
    member = Member.objects.unnarrowed().filter(id=member_id).first() if member_id else None
    refresh_ttl = spec.refresh_ttl or spec.ttl
    token = Token.in_scope(
        id=new_id(),
        owner_type=spec.owner_type,
        owner_id=spec.owner_id or current_scope().organization_id,
        account_id=spec.account_id or the_account_of(grants),
        member_id=member_id,
        parent_id=parent.id if parent else None,
        surface=spec.surface,
        token_type=spec.token_type,
        token_ttl=spec.ttl,
        refresh_ttl=refresh_ttl,
        expires=end_of(now, refresh_ttl, parent, member),
        grants=grants,
        networks=_networks_of(spec, parent),
        second_factor=parent.second_factor if parent else spec.second_factor,
        sso_id=spec.sso_id,
        claims=spec.claims,
    )
    pair, secrets, rows = new_pair(token, access_expires=end_of(now, spec.ttl, parent, member))
    token.pairs = {"primary": pair}
    with transaction.atomic():
        assign_name(token, name=spec.name, fullname=spec.fullname, at=spec.name_at)
        token.save(force_insert=True)
        TokenSecret.objects.bulk_create(rows)
    return IssuedToken(token, secrets)


def _own_links(spec: TokenSpec) -> list[StoredLink]:
    """What a token may do of its own. A log-on's may do what its member may."""
    if spec.token_type == TokenType.LOGON:
        return []
    only = {"verbs": list(spec.verbs)} if spec.verbs else {}
    return [[{"permission_set": spec.permission_set, "resources": spec.resources, **only}]]


def last_end_of(token: Token) -> dt.datetime | None:
    """When a token ends however often it is renewed."""
    return token.created_at + duration_of(LONGEST_MCP) if token.surface == Surface.MCP else None


def bounds_of(token: Token) -> list[StoredLink]:
    """Where a token and its member may make tokens for new accounts, as links that leave every verb open."""
    links = [*token.grants, *([token.member.grants] if token.member else [])]
    bounds = [
        [{"permission_set": Permissions.ADMINISTRATOR, "resources": grant["resources"]}
         for grant in link if allows(PERMISSION_SETS[grant["permission_set"]], "tokens", "provision")]
        for link in links
    ]  # fmt: skip
    return [bound for bound in bounds if all(grant["resources"] for grant in bound)]


def _networks_of(spec: TokenSpec, parent: Token | None) -> list[str] | None:
    networks = common_networks(spec.networks, parent.networks if parent else None)
    if networks == []:
        at = Parameter("body", "/allowed_networks")
        raise InvalidError("/allowed_networks: none lies in the networks that the asking token is good for", at=at)
    return networks


def end_of(
    now: dt.datetime, ttl: str, parent: Token | None, member: Member | None, last: dt.datetime | None = None
) -> dt.datetime:
    """When a secret made now ends: with its parent at the latest, and with its member unless that has ended before.

    Members whose time is over still log on, to choose another password and nothing else.
    """
    ends = [now + duration_of(ttl)] + ([last] if last is not None else [])
    if parent is not None:
        ends.append(parent.expires)
    if member is not None and member.expires > now:
        ends.append(member.expires)
    return min(ends)


def new_pair(token: Token, *, access_expires: dt.datetime) -> tuple[Pair, dict[str, str], list[TokenSecret]]:
    """A primary pair: what is shown of it, its secrets, and its rows."""
    pair: Pair = {}
    secrets: dict[str, str] = {}
    rows = []
    for kind, expires in (("access", access_expires), ("refresh", token.expires)):
        public_id, text = new_secret()
        digest = keyed_hash(text)
        rows.append(
            TokenSecret.in_scope(
                public_id=public_id,
                token=token,
                slot=Slot.PRIMARY,
                kind=kind,
                digest=digest,
                made_at=dt.datetime.now(dt.UTC),
                expires=expires,
            )
        )
        pair[kind] = {"id": public_id, "expires": format_instant(expires)}
        secrets[kind] = text
    return pair, secrets, rows


def refuse_wider(*, principal: Principal, permission_set: str) -> None:
    """Raises when a permission set holds a verb that the principal lacks. Where it holds is the parent's anyway."""
    everywhere = [tuple(Grant(grant.verbs) for grant in link) for link in principal.links]
    refusal = f"a token cannot grant more than it has: {permission_set!r} holds more"
    refuse_beyond([link_of(permission_set)], everywhere, refusal)


def delete_token(*, token: Token) -> None:
    """Ends a token at once, with every token that was derived from it.

    Each generation is locked before the next is looked for: whoever derives a token holds the lock of its parent.
    """
    doomed, generation = {token.id}, [token.id]
    tokens = Token.objects.unnarrowed().select_for_update(no_key=True).order_by("id")
    while generation:
        generation = list(tokens.filter(parent_id__in=generation).values_list("id", flat=True))
        doomed.update(generation)
    Token.objects.unnarrowed().filter(id__in=doomed).delete()


def delete_tokens_of(*, owner_id: str) -> None:
    """Ends the tokens of an owner that is being deleted."""
    Token.objects.unnarrowed().filter(owner_id=owner_id).delete()


def token_of(*, principal: Principal) -> Token:
    """The token a principal acts by, locked: it is not deleted before what is derived from it is saved."""
    token: Token | None = (
        Token.objects.unnarrowed().select_for_update(no_key=True).filter(id=principal.token_id).first()
    )
    if token is None:
        raise UnauthenticatedError("the access token was deleted")
    return token
