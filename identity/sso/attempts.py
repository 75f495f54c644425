"""Sign-ins under way: begun by a browser, ended by one answer to the same browser, handed over by a code."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import re
import secrets

from django.db import IntegrityError, models, transaction

from core.columns import is_id
from core.crypto.hashing import keyed_hash
from core.errors import NotFoundError, OrganizationDisabledError
from core.pruning import delete_old
from core.tenancy import Scope, enter, unscoped
from identity.members.models import Member
from identity.sso.identities import SignInLostError, SignInRefusedError
from identity.sso.models import SsoAssertion, SsoAttempt, SsoCode, SsoConfiguration
from identity.sso.oidc import Proofs, challenge_of
from organizations.models import Organization, is_blocked_now

ATTEMPT_LIVES, CODE_LIVES = dt.timedelta(minutes=10), dt.timedelta(seconds=60)
LONGEST_REPLAY = dt.timedelta(days=1)
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_USED = "the code is not good for this verifier, was used before, or has run out"
_LOST = "the answer belongs to no sign-in under way in this browser: it was used before, or has run out"


@dataclasses.dataclass(frozen=True, slots=True)
class Destination:
    """Where a finished sign-in goes, and what only its beginner can show there."""

    return_to: str
    client_state: str | None
    challenge: str


def new_secret() -> str:
    """256 random bits as text."""
    return secrets.token_urlsafe(32)


def is_secret(text: object) -> bool:
    """Whether a text can be one of these secrets, which spares a look-up."""
    return isinstance(text, str) and _SECRET.match(text) is not None


def _hash(kind: str, text: str) -> bytes:
    return keyed_hash(f"{kind}:{text}", purpose="sso")


def proofs_of(state: str) -> Proofs:
    """The nonce and the PKCE verifier of a sign-in: nobody can derive them from the state without the key."""
    nonce, verifier = (
        base64.urlsafe_b64encode(_hash(kind, state)).rstrip(b"=").decode() for kind in ("nonce", "verifier")
    )
    return Proofs(nonce, verifier)


def request_id_of(state: str) -> str:
    """The id of the SAML request of a sign-in."""
    return f"_{_hash('request', state).hex()}"


def _enter(organization: Organization) -> None:
    """From here on everything happens in the organization, if it may."""
    if is_blocked_now(organization):
        raise OrganizationDisabledError("the organization is disabled")
    enter(Scope(organization.id))


def find_configuration(sso_id: str) -> SsoConfiguration:
    """The configuration of this id, and its organization's scope."""
    with unscoped("whoever signs in has no organization yet: it is the configuration's"):
        rows = SsoConfiguration.objects.select_related("organization")
        sso: SsoConfiguration | None = rows.filter(id=sso_id).first() if is_id(sso_id) else None
    if sso is None:
        raise NotFoundError(f"there is no sso configuration {sso_id[:200]!r}")
    _enter(sso.organization)
    return sso


def begin(*, sso: SsoConfiguration, state: str, browser: str, destination: Destination) -> None:
    """Notes a sign-in that a browser is about to begin."""
    now = dt.datetime.now(dt.UTC)
    for model in (SsoAttempt, SsoCode, SsoAssertion):
        _sweep(model, now)
    SsoAttempt.in_scope(
        state_hash=_hash("state", state).hex(),
        sso=sso,
        browser_hash=_hash("browser", browser).hex(),
        return_to=destination.return_to,
        client_state=destination.client_state,
        challenge=destination.challenge,
        expires=now + ATTEMPT_LIVES,
    ).save(force_insert=True)


def _sweep(model: type[models.Model], now: dt.datetime) -> None:
    model._default_manager.filter(expires__lte=now).delete()


def take_attempt(*, state: object, browser: object, type_: str) -> SsoAttempt:
    """Ends the one sign-in of this state and browser, and enters its organization's scope."""
    if not is_secret(state) or not is_secret(browser):
        raise SignInLostError(_LOST)
    with unscoped("the answer of an identity provider names its organization by the state alone"):
        rows = SsoAttempt.objects.filter(
            state_hash=_hash("state", str(state)).hex(),
            browser_hash=_hash("browser", str(browser)).hex(),
            expires__gt=dt.datetime.now(dt.UTC),
        )
        attempt: SsoAttempt | None = rows.select_related("sso", "organization").first()
        if attempt is None or attempt.sso.identity_provider["type"] != type_ or not rows.delete()[0]:
            raise SignInLostError(_LOST)
    _enter(attempt.organization)
    return attempt


def refuse_replayed(*, sso: SsoConfiguration, assertion_id: str, good_until: dt.datetime) -> None:
    """Raises when an assertion was used before; notes that it is used now."""
    used = SsoAssertion.in_scope(
        assertion_hash=_hash("assertion", f"{sso.id} {assertion_id}").hex(),
        expires=min(good_until, dt.datetime.now(dt.UTC) + LONGEST_REPLAY) + dt.timedelta(minutes=2),
    )
    try:
        with transaction.atomic():
            used.save(force_insert=True)
    except IntegrityError as error:
        raise SignInRefusedError("the assertion of the identity provider was used before") from error


def make_code(*, attempt: SsoAttempt, member: Member) -> str:
    """A code that whoever began the sign-in exchanges for a session."""
    code = new_secret()
    SsoCode.in_scope(
        code_hash=_hash("code", code).hex(),
        sso=attempt.sso,
        member=member,
        challenge=attempt.challenge,
        expires=dt.datetime.now(dt.UTC) + CODE_LIVES,
    ).save(force_insert=True)
    return code


def find_code(*, code: str, verifier: str) -> SsoCode:
    """A code, and its organization's scope. Without the verifier it is as if there was none."""
    with unscoped("a code names its own organization"):
        rows = SsoCode.objects.filter(
            code_hash=_hash("code", code).hex(),
            challenge=challenge_of(verifier),
            expires__gt=dt.datetime.now(dt.UTC),
        )
        row: SsoCode | None = rows.select_related("sso", "member", "organization").first()
        if row is None:
            raise SignInLostError(_USED)
    _enter(row.organization)
    return row


def spend_code(row: SsoCode) -> None:
    """Ends a code; raises when somebody else has ended it, or its configuration, which is kept until the session is."""
    SsoConfiguration.objects.select_for_update(no_key=True).filter(pk=row.sso_id).first()
    if not SsoCode.objects.filter(code_hash=row.code_hash).delete()[0]:
        raise SignInLostError(_USED)


def prune_sign_ins(*, before: dt.datetime) -> int:
    """Deletes what sign-ins left that ran out before a time."""
    return sum(delete_old(model, expires__lt=before) for model in (SsoAttempt, SsoCode, SsoAssertion))
