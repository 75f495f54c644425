"""Members on the wire."""

from __future__ import annotations

import datetime as dt
from typing import Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from core.durations import DurationField, duration_of
from core.fields import ComputedField, EnumField, InstantField, ListField, SecretField, StringField, UrlField
from core.serializers import ResourceSerializer, StrictSerializer
from identity.members.models import MUST_CHANGE_PASSWORD, Member, MemberType, State
from identity.members.names import is_email, is_identifier
from identity.members.passwords import LONGEST
from identity.members.terms import rotation_end

OPTIONS = ("disabled", "expired", "forgotten", "invited", "locked")
LONGEST_TOKEN_TTL = {MemberType.PERSONAL: "24h", MemberType.SERVICE: "2160h"}


class MemberNameField(StringField):
    """An e-mail address, or the identifier of a service; compared without case."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(data).lower()


class MemberOptionsSerializer(StrictSerializer):
    """How long a member and its tokens last, and the states it begins in."""

    ttl = DurationField(
        least="24h",
        most="87600h",
        required=False,
        help_text="How long the member is good before its password must be changed. 87600h if not given.",
    )
    options = ListField(
        child=EnumField(OPTIONS),
        required=False,
        max_length=5,
        help_text="States to begin in. With `expired` the secret must be changed at the first log-on.",
    )
    token_ttl = DurationField(
        least="1m",
        most="2160h",
        required=False,
        help_text="How long tokens of the member work: up to 24h for a person, 2160h for a service. 1h if not given.",
    )


@extend_schema_field(InstantField)
class RotationEndField(ComputedField):
    """When the organization wants another password."""

    columns = ("pin_expires", "password_set_at", "organization__options")

    def encode(self, pin_expires: str, set_at: str, options: str | None) -> str:
        return rotation_end(pin_expires, set_at, orjson.loads(options or "{}"))


class MemberSerializer(ResourceSerializer):
    """Who logs on to your organization: a person or a service."""

    name = MemberNameField(max_length=255, help_text="E-mail address of a person, or identifier of a service.")
    state = EnumField(State, help_text="`disabled` and `locked` end every token at once.")
    last_logon = InstantField(help_text="When the member last logged on; year 1 if never.")
    nickname = StringField(required=False, max_length=255, help_text="What to call the member.")
    picture = UrlField(required=False, help_text="Address of the member's picture.")
    ttl = DurationField(least="24h", most="87600h", help_text="How long the member is good after a change of password.")
    token_ttl = DurationField(least="1m", most="2160h", help_text="How long tokens of the member work.")
    expires = InstantField(help_text="When the password must be changed, by `ttl`.")
    pin_expires = RotationEndField(help_text="When the password must be changed, by the organization's rule.")
    role_binding = ListField(
        child=StringField(max_length=129),
        required=False,
        help_text="Names of the member's roles; `member` if not given to a new one.",
    )
    type = EnumField(MemberType, default=MemberType.PERSONAL, help_text="A person or a service; fixed once set.")
    secret = SecretField(
        write_only=True,
        min_length=1,
        max_length=LONGEST,
        help_text="A password for one log-on by update, or the first one: 8 characters or more, hard to guess.",
    )
    options = MemberOptionsSerializer(required=False, write_only=True, help_text="Durations and states to begin with.")

    class Meta(ResourceSerializer.Meta):
        model = Member
        fields = (
            "name", "created_at", "updated_at", "id", "state", "last_logon", "fullname", "nickname", "picture", "ttl",
            "token_ttl", "expires", "pin_expires", "role_binding", "type", "secret", "options",
        )  # fmt: skip
        read_only = ("id", "created_at", "updated_at", "last_logon", "expires", "pin_expires")
        fixed = ("type",)
        optional = ("nickname", "picture")
        kept = ("secret",)
        create_only = ("options",)
        update_only = ("state", "ttl", "token_ttl")

    def build_fields(self) -> dict[str, Any]:
        fields = super().build_fields()
        fields["name"].required = True
        if self.mode == "update":  # sent back as it was read, like what is stored
            fields["pin_expires"] = InstantField(help_text=fields["pin_expires"].help_text)
        if self.mode == "read":
            del fields["secret"]
        return fields

    def validate_name(self, value: str) -> str:
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind = MemberType(str(attrs.get("type") or getattr(self.instance, "type", MemberType.PERSONAL)))
        self._refuse_misnamed(attrs["name"], kind)
        options = attrs.get("options", {})
        ttl, longest = options.get("token_ttl") or attrs.get("token_ttl"), LONGEST_TOKEN_TTL[kind]
        if ttl and duration_of(ttl) > duration_of(longest):
            wrong = {"token_ttl": [f"must be at most {longest} for a {kind} member"]}
            raise ValidationError({"options": wrong} if options.get("token_ttl") else wrong)
        return super().validate(attrs)

    def _refuse_misnamed(self, name: str, kind: str) -> None:
        if kind == MemberType.PERSONAL and not is_email(name):
            raise ValidationError({"name": ["must be the e-mail address of a person, or give the type `service`"]})
        if kind == MemberType.SERVICE and not is_email(name) and not is_identifier(name):
            raise ValidationError({"name": ["must be 1 to 128 of a-z, 0-9, _ and -, with an optional ~ before them"]})

    def update(self, instance: Member, validated_data: dict[str, Any]) -> Member:
        if validated_data.get("ttl", instance.ttl) != instance.ttl:
            instance.expires = instance.password_set_at + duration_of(validated_data["ttl"])
        if validated_data["state"] != instance.state and validated_data["state"] in MUST_CHANGE_PASSWORD:
            instance.given_at = dt.datetime.now(dt.UTC)
        for name in ("role_binding", "secret"):  # identity.members.services has dealt with them
            validated_data.pop(name, None)
        member: Member = super().update(instance, validated_data)
        return member


class CreateMemberResponseResultSerializer(serializers.Serializer[Any]):
    """The new member."""

    member = MemberSerializer(help_text="The member.")
