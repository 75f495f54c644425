"""Sessions on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from core.fields import EnumField, IdField, ListField, SecretField, StringField
from core.serializers import StrictSerializer
from identity.members.passwords import LONGEST
from identity.members.serializers import MemberSerializer
from identity.tokens.serializers import TokenPairSerializer
from organizations.serializers import OrganizationSerializer

AUTH_CODES = ("success", "failure", "disabled", "expired", "invited", "locked")


class LogonRequestSerializer(StrictSerializer):
    """Who logs on, and the proof."""

    name = StringField(max_length=255, help_text="Name of the member: an e-mail address, or that of a service.")
    secret = SecretField(max_length=LONGEST, help_text="Password of the member.")
    code = SecretField(
        max_length=32,
        required=False,
        help_text="Code of the second factor, or a recovery code, for members that have enrolled one.",
    )


class LogonResponseResultSerializer(serializers.Serializer[Any]):
    """A session."""

    auth_code = EnumField(
        AUTH_CODES,
        help_text="`success`, or `expired` or `invited`: the token allows changing the password only, until that is "
        "done. The others are answered as problems.",
    )
    auth_msg = StringField(required=False, help_text="What has to be done first.")
    refresh_token_id = IdField(help_text="Id of the session's token.")
    token = TokenPairSerializer(help_text="The session's token; its secrets are not shown again.")
    organization = OrganizationSerializer(help_text="The organization.")
    member = MemberSerializer(help_text="Who has logged on.")


class ChangePasswordRequestSerializer(StrictSerializer):
    """The old password and a new one."""

    old_secret = SecretField(max_length=LONGEST, help_text="The password until now.")
    new_secret = SecretField(max_length=LONGEST, help_text="Another one: 8 characters or more, hard to guess.")


class ChangePasswordResponseResultSerializer(serializers.Serializer[Any]):
    """What came of it."""

    auth_code = EnumField(AUTH_CODES, help_text="`success`; failures are answered as problems.")
    auth_msg = StringField(required=False, help_text="What there is to know.")


class EnrolSecondFactorRequestSerializer(StrictSerializer):
    """The proof that it is the member who enrols a second factor."""

    secret = SecretField(
        max_length=LONGEST,
        required=False,
        help_text="Password of the member. Not needed in a session by single sign-on.",
    )


class SecondFactorCodeSerializer(StrictSerializer):
    """A code of the authenticator."""

    code = SecretField(max_length=32, help_text="Six digits, or a recovery code.")


class SecondFactorSecretSerializer(serializers.Serializer[Any]):
    """What the authenticator is set up with. It is not shown again."""

    secret = StringField(help_text="The secret in base32, to type in.")
    uri = StringField(help_text="The same as an `otpauth:` address, to show as a QR code.")


class RecoveryCodesSerializer(serializers.Serializer[Any]):
    """Codes to keep for the day the authenticator is lost: each works once. They are not shown again."""

    recovery_codes = ListField(child=StringField(), help_text="Ten codes.")
