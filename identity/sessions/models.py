"""What logging on keeps: failed attempts, and second factors."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import JsonColumn
from core.tenancy import TenantModel
from identity.members.models import Member


class LogonAttempt(models.Model):
    """Failures in a row, such as log-ons of one name from one address. Of no tenant: the name may be nobody's.

    `key` is a keyed hash of what they are counted by, such as organization, name and address as they were given.
    Times are seconds of the epoch.
    """

    key = models.BinaryField(primary_key=True, max_length=32)
    failures = models.IntegerField()
    last_at = models.BigIntegerField()
    blocked_until = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["last_at"], name="logon_attempt_by_time")]

    def __str__(self) -> str:
        return f"{self.failures} failed attempts"


class SecondFactor(TenantModel):
    """A member's authenticator (TOTP, RFC 6238), and the codes to use once without it.

    States: unconfirmed (made, not asked for yet; may be made anew) to confirmed (asked for at every log-on).
    """

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    member = models.OneToOneField(Member, models.CASCADE, primary_key=True, related_name="+")
    sealed_secret = models.BinaryField()
    is_confirmed = models.BooleanField(default=False)
    last_step = models.BigIntegerField(default=0)  # of 30 s: a code works once
    recovery_codes = JsonColumn(default=list)  # keyed hashes, in hex

    def __str__(self) -> str:
        return f"second factor of {self.member_id}"
