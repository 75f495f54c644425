"""Second factors: enrolling an authenticator, checking its codes, recovering without it."""

from __future__ import annotations

import secrets
import time

import pyotp

from core.crypto.hashing import keyed_hash
from core.crypto.sealing import Place, open_sealed, seal
from core.errors import ConflictError, InvalidError, Parameter
from identity.members.models import Member
from identity.sessions.models import SecondFactor

STEP = 30  # seconds
DRIFT = 1  # steps that a member's clock may be off
RECOVERY_CODES = 10


def enrol(*, member: Member, issuer: str) -> dict[str, str]:
    """A new secret for the member's authenticator. It is asked for once a code of it has been confirmed."""
    if member.has_second_factor:
        raise ConflictError("a second factor is enrolled already", remediation="Remove it first.")
    secret = pyotp.random_base32()
    SecondFactor.objects.filter(member=member, is_confirmed=False).delete()  # a confirmed one makes this a conflict
    sealed = seal(_place(member), secret.encode())
    SecondFactor.in_scope(member=member, sealed_secret=sealed).save(force_insert=True)
    uri = pyotp.TOTP(secret).provisioning_uri(name=member.name, issuer_name=issuer)
    return {"secret": secret, "uri": uri}


def confirm(*, member: Member, code: str) -> list[str]:
    """Turns the second factor on, and gives the codes to keep for the day the authenticator is lost."""
    factor = SecondFactor.objects.select_for_update().filter(member=member, is_confirmed=False).first()
    if factor is None:
        raise ConflictError("there is no second factor to confirm", remediation="Enrol one first.")
    if not _spend_step(factor, member, code):
        raise InvalidError("/code: is not the authenticator's code of now", at=Parameter("body", "/code"))
    codes = [secrets.token_hex(8) for _ in range(RECOVERY_CODES)]
    factor.recovery_codes = [_hash(each) for each in codes]
    factor.is_confirmed = True
    factor.save(update_fields=["recovery_codes", "is_confirmed"])
    _set(member, has_second_factor=True)
    return codes


def remove(*, member: Member) -> None:
    """Takes the second factor away."""
    SecondFactor.objects.filter(member=member).delete()
    _set(member, has_second_factor=False)


def check_code(*, member: Member, code: str) -> bool:
    """Whether a code is the authenticator's or one of the recovery codes. Either works once."""
    factor = SecondFactor.objects.select_for_update().filter(member=member, is_confirmed=True).first()
    if factor is None:
        return False
    if (hashed := _hash(code.strip().lower())) in factor.recovery_codes:
        factor.recovery_codes = [each for each in factor.recovery_codes if each != hashed]
        factor.save(update_fields=["recovery_codes"])
        return True
    return _spend_step(factor, member, code)


def _spend_step(factor: SecondFactor, member: Member, code: str) -> bool:
    """Whether a code is good now, and has not been used before."""
    totp = pyotp.TOTP(open_sealed(_place(member), bytes(factor.sealed_secret)).decode())
    now = int(time.time()) // STEP
    for step in range(max(now - DRIFT, factor.last_step + 1), now + DRIFT + 1):
        if secrets.compare_digest(totp.at(step * STEP).encode(), code.strip().encode()):
            factor.last_step = step
            factor.save(update_fields=["last_step"])
            return True
    return False


def _set(member: Member, *, has_second_factor: bool) -> None:
    member.has_second_factor = has_second_factor
    member.save(update_fields=["has_second_factor"])


def _place(member: Member) -> Place:
    return Place(member.organization_id, "member", member.id, "second factor", 1)


def _hash(code: str) -> str:
    return keyed_hash(code, purpose="recovery code").hex()
