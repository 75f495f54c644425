"""From a bearer token to a principal: one look-up, one comparison in constant time."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson
from django.db.models import QuerySet
from django.http import HttpRequest

from core.columns import IdColumn, InstantColumn, TextColumn
from core.crypto.hashing import keyed_hash, same
from core.errors import OrganizationDisabledError, ProblemError, UnauthenticatedError
from core.instants import now_text
from core.lookup import Lookup
from core.network import client_address
from core.permissions import Grant, Principal
from core.plan import WireText
from core.prepared import Slot
from core.tenancy import Scope, scoped
from identity.members.models import SHUT_OUT, is_by_sign_on, is_password_over, must_enrol
from identity.members.terms import Rules, rotation_end
from identity.tokens.models import Slot as SecretSlot
from identity.tokens.models import Token, TokenSecret
from identity.tokens.networks import holds
from identity.tokens.rights import OWN_SESSION, links_of
from identity.tokens.secrets import public_id_of
from organizations.models import is_blocked

_UNUSABLE = "the token is not valid: unknown, expired or deleted"
_REFRESHING = Grant({"tokens": frozenset({"refresh"})})
_TEN_MINUTES = 15  # characters of a time, and how exactly the last use of a token is noted


class Secret(NamedTuple):
    """What one query tells of a secret, its token, its member and its organization. Times are the wire's text."""

    digest: bytes
    expires: str
    used_at: str | None
    token_id: str
    organization_id: str
    surface: Any
    grants: str
    networks: str | None
    second_factor: str
    state: str | None
    end_date: str | None
    member_id: str | None
    member_grants: str | None
    member_state: str | None
    member_expires: str | None
    pin_expires: str | None
    password_set_at: str | None
    member_type: str | None
    has_second_factor: bool | None
    options: str | None

    def must_change_password(self, now: str) -> bool:
        """Whether the token's member may do nothing else first."""
        if self.member_expires is None or self.pin_expires is None or self.password_set_at is None:
            return False
        rotated = rotation_end(self.pin_expires, self.password_set_at, self.rules)
        is_over = is_password_over(state=self.member_state, expires=self.member_expires, rotated=rotated, now=now)
        return is_over and not is_by_sign_on(self.second_factor)

    def must_enrol(self) -> bool:
        """Whether the token's member may do nothing else before it has a second factor."""
        enrolled = bool(self.has_second_factor)
        return must_enrol(type_=self.member_type, enrolled=enrolled, rule=self.second_factor, options=self.rules)

    @property
    def rules(self) -> Rules:
        """The organization's rules for its members; none for a token of no member."""
        rules: Rules = orjson.loads(self.options) if self.options and self.member_type else {}
        return rules


def _secret_row() -> QuerySet[Any, Any]:
    by_text = TokenSecret._base_manager.filter(
        public_id=Slot("public_id", TextColumn()), kind=Slot("kind", TextColumn())
    )
    return by_text.values_list(
        "digest",
        WireText("expires", InstantColumn),
        WireText("token__used_at", InstantColumn),
        WireText("token_id", IdColumn),
        WireText("organization_id", IdColumn),
        "token__surface",
        "token__grants",
        "token__networks",
        "token__second_factor",
        "organization__state",
        "organization__end_date",
        WireText("token__member_id", IdColumn),
        "token__member__grants",
        "token__member__state",
        WireText("token__member__expires", InstantColumn),
        WireText("token__member__pin_expires", InstantColumn),
        WireText("token__member__password_set_at", InstantColumn),
        "token__member__type",
        "token__member__has_second_factor",
        "organization__options",
    )


SECRETS = Lookup("token", _secret_row, tenant_at=4)


class TokenAuthentication:
    """`Authorization: Bearer <access secret>`."""

    kind = "access"
    scheme = "TokenAuth"  # the name of this in the API docs
    description = "The access secret of a token, such as the one that was shown when the token was created."

    def authenticate(self, request: HttpRequest) -> Principal | None:
        """Who asks; None if nobody says so."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError("the Authorization header is not a bearer token")
        public_id = public_id_of(text.strip())
        if public_id is None:
            raise UnauthenticatedError(_UNUSABLE)
        secret = self.find(public_id, text.strip())
        address = client_address(request)
        now = now_text()
        try:
            self.refuse_unusable(secret, address, now)
        except ProblemError as refusal:
            refusal.principal = self.principal(secret, now)  # only for the log: whoever comes here has the secret
            raise
        if secret.used_at is None or secret.used_at[:_TEN_MINUTES] != now[:_TEN_MINUTES]:
            with scoped(Scope(secret.organization_id)):
                Token.objects.filter(id=secret.token_id).update(used_at=now, used_from=address[:45])
        return self.principal(secret, now)._replace(secret_id=public_id)

    def find(self, public_id: str, text: str) -> Secret:
        """The secret with this text, whatever has become of it."""
        rows = SECRETS.rows(public_id=public_id, kind=self.kind)
        digest = keyed_hash(text)
        if not rows or not same(bytes(rows[0][0]), digest):
            raise UnauthenticatedError(_UNUSABLE)
        return Secret(*rows[0])

    def refuse_unusable(self, secret: Secret, address: str, now: str) -> None:
        """Raises for what has ended, and for whoever asks from elsewhere than the token allows."""
        if secret.expires <= now or secret.member_state in SHUT_OUT:
            raise UnauthenticatedError(_UNUSABLE)
        if secret.networks is not None and not holds(secret.networks, address):
            raise UnauthenticatedError("the access token is not good for this address")
        if is_blocked(secret.state, secret.end_date, now[:10]):
            raise OrganizationDisabledError("the organization is disabled")

    @staticmethod
    def principal(secret: Secret, now: str) -> Principal:
        links = links_of(secret.grants, secret.member_grants)
        if secret.must_change_password(now) or secret.must_enrol():
            links = (*links, (OWN_SESSION,))
        return Principal(secret.token_id, secret.organization_id, links, secret.surface, secret.member_id or "")


class RefreshAuthentication(TokenAuthentication):
    """`Authorization: Bearer <refresh secret>`, also one that was dropped: what comes of that is the operation's."""

    kind = "refresh"
    scheme = "RefreshAuth"
    description = "The refresh secret of a token. It opens nothing but the refresh of that token."

    def find(self, public_id: str, text: str) -> Secret:
        """Whoever has one that was dropped is not asked from where: it is a thief's, or its owner's after a theft."""
        secret = super().find(public_id, text)
        with scoped(Scope(secret.organization_id)):
            is_dropped = TokenSecret.objects.filter(public_id=public_id, slot=SecretSlot.DROPPED).exists()
        return secret._replace(networks=None) if is_dropped else secret

    @staticmethod
    def principal(secret: Secret, now: str) -> Principal:
        return Principal(secret.token_id, secret.organization_id, [(_REFRESHING,)], member_id=secret.member_id or "")
