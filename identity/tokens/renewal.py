"""New secrets for a token: refresh, rotate and reset, and who may have them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import orjson

from core.durations import duration_of
from core.errors import ConflictError, ForbiddenError, UnauthenticatedError
from core.permissions import Principal
from identity.members.models import Member
from identity.tokens.models import Slot, Surface, Token, TokenSecret, TokenType
from identity.tokens.networks import lie_within
from identity.tokens.rights import links_of, refuse_beyond
from identity.tokens.services import IssuedToken, delete_token, end_of, last_end_of, new_pair

MOST_DROPPED = 500  # refresh secrets of one token that are remembered: three weeks of hourly ones


class ReplacedSecretError(ConflictError):
    """The refresh secret was replaced: it was used before, or the token was rotated."""

    slug = "replaced-secret"
    remedy = "Use the refresh secret of the primary pair. If that was lost, have the token rotated or reset."


class ReusedSecretError(UnauthenticatedError):
    """The refresh secret was dropped long ago, so somebody has kept a copy. The token was deleted."""

    slug = "reused-secret"
    remedy = "Make a new token, and find out who else holds the secrets of the deleted one."


def refresh_token(*, token: Token, public_id: str) -> IssuedToken | None:
    """A new primary pair for whoever holds the refresh secret of the primary one. `token` is locked.

    Whoever comes with one that was dropped ends the token: of its two holders one has stolen it, and nobody knows
    which. That is told by None.
    """
    slot = TokenSecret.objects.filter(token=token, public_id=public_id).values_list("slot", flat=True).first()
    if slot is None:
        raise UnauthenticatedError("the refresh secret was deleted")
    if slot == Slot.PRIMARY:
        return renew_token(token=token, keep=True)
    if slot == Slot.SECONDARY:
        raise ReplacedSecretError("another refresh or a rotation has replaced this refresh secret")
    delete_token(token=token)
    return None


def renew_token(*, token: Token, keep: bool) -> IssuedToken:
    """A new primary pair. The one before becomes the secondary if it is to be kept; else all there were are gone."""
    now = dt.datetime.now(dt.UTC)
    parent = Token.objects.unnarrowed().filter(id=token.parent_id).first() if token.parent_id else None
    before = token.pairs["primary"]
    if keep:
        drop_pairs(token=token, slots=[Slot.SECONDARY])
        TokenSecret.objects.filter(token=token, slot=Slot.PRIMARY).update(slot=Slot.SECONDARY)
    else:
        # Nor are the old refresh secrets remembered: their thief could end the token that has just been made safe.
        TokenSecret.objects.filter(token=token).delete()
    last = last_end_of(token)
    token.expires = end_of(now, token.refresh_ttl, parent, token.member, last)
    if token.expires <= now:
        ended = (
            "it has worked for as long as such a token can" if last else "the one that it was derived from has expired"
        )
        raise ConflictError(f"the token cannot be renewed: {ended}")
    access_expires = end_of(now, _access_ttl(token, token.member), parent, token.member, last)
    pair, secrets, rows = new_pair(token, access_expires=access_expires)
    token.pairs = {"primary": pair, **({"secondary": before} if keep else {})}
    token.touch()
    token.save(update_fields=["expires", "pairs", "updated_at"])
    TokenSecret.objects.bulk_create(rows)
    return IssuedToken(token, secrets)


def remove_secondary(*, token: Token) -> None:
    """Ends the secondary pair, if there is one."""
    if token.pairs.pop("secondary", None) is not None:
        drop_pairs(token=token, slots=[Slot.SECONDARY])
        token.touch()
        token.save(update_fields=["pairs", "updated_at"])


def drop_pairs(*, token: Token, slots: Sequence[Slot]) -> None:
    """Ends the pairs in these slots, and forgets dropped secrets that would have expired by now, or are too many."""
    rows = TokenSecret.objects.filter(token=token)
    rows.filter(slot=Slot.DROPPED, expires__lte=dt.datetime.now(dt.UTC)).delete()
    rows.filter(slot__in=slots, kind="access").delete()
    rows.filter(slot__in=slots).update(slot=Slot.DROPPED)
    latest_first = rows.filter(slot=Slot.DROPPED).order_by("-made_at").values_list("public_id", flat=True)
    if beyond := list(latest_first[MOST_DROPPED:]):
        rows.filter(public_id__in=beyond).delete()


def _access_ttl(token: Token, member: Member | None) -> str:
    """A member's own session follows what the member is allowed now."""
    if member is None or token.token_type != TokenType.LOGON:
        return token.token_ttl
    return min(token.token_ttl, member.token_ttl, key=duration_of)


def refuse_revealing(*, token: Token, by: Principal) -> None:
    """Raises when the secrets of a token would give a principal more than it has."""
    own = Token.objects.unnarrowed().filter(id=by.token_id).first()
    if own is None:
        raise UnauthenticatedError("the access token was deleted")
    if token.member_id not in (None, by.member_id):
        raise ForbiddenError("only the member whose token this is can have new secrets for it")
    refuse_stronger(token=token, by=by)
    if not lie_within(token.networks, own.networks):
        raise ForbiddenError("a token cannot have new secrets for one that is good for more networks")
    if _is_derived(own, token.id):
        raise ForbiddenError("a token cannot have new secrets for one that it was derived from: it would outlive it")


def refuse_stronger(*, token: Token, by: Principal) -> None:
    """Raises when a token may do more than the one who wants to change or end it. Itself, each may end."""
    refusal = "a token neither renews, changes nor ends one that grants more than it does"
    if token.id == by.token_id:
        return
    if token.surface == Surface.CONNECTORS:  # it is good for its integration, which the caller sees
        if not by.allows("tokens", "create_integration"):
            raise ForbiddenError(refusal)
        return
    member_grants = orjson.dumps(token.member.grants).decode() if token.member else None
    refuse_beyond(links_of(orjson.dumps(token.grants).decode(), member_grants), by.links, refusal)


def _is_derived(token: Token, ancestor_id: str) -> bool:
    """Whether a token comes from another, at whatever remove."""
    parent_id = token.parent_id
    while parent_id not in (None, ancestor_id):
        parent_id = Token.objects.unnarrowed().filter(id=parent_id).values_list("parent_id", flat=True).first()
    return parent_id is not None
