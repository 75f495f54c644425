"""The organization on the wire."""

from __future__ import annotations

from core.durations import DurationField
from core.fields import BooleanField, EnumField, IntegerField, StringField
from core.serializers import ResourceSerializer, StrictSerializer
from organizations.models import Organization, OrganizationState, OrganizationType


class OrganizationOptionsSerializer(StrictSerializer):
    """Rules for the organization's members."""

    invite_duration = DurationField(
        least="24h",
        most="168h",
        required=False,
        help_text="How long an invitation is good. 168h if not given.",
    )
    forgot_duration = DurationField(
        least="24h",
        most="168h",
        required=False,
        help_text="How long a password reset is good. 24h if not given.",
    )
    password_duration = DurationField(
        least="24h",
        most="8760h",
        required=False,
        help_text="How long a password is good. 4320h if not given.",
    )
    minimum_password_length = IntegerField(
        min_value=8,
        max_value=72,
        required=False,
        help_text="Shortest password in characters. 8 if not given.",
    )
    require_second_factor = BooleanField(
        required=False,
        help_text="Whether persons may do nothing before they have enrolled a second factor. `false` if not given.",
    )


class OrganizationSerializer(ResourceSerializer):
    """Your organization: the company whose product is integrated."""

    refresh_token_id = StringField(help_text="Id of the organization's first token.")
    organization_type = EnumField(OrganizationType, help_text="`root` for the first organization, else `standard`.")
    contact = StringField(required=False, help_text="E-mail address to reach the organization at.")
    reply_to = StringField(required=False, help_text="Reply-to address of e-mails sent for the organization.")
    picture = StringField(required=False, max_length=2048, help_text="Address of the organization's picture.")
    options = OrganizationOptionsSerializer(required=False, help_text="Rules for members.")
    state = EnumField(OrganizationState, required=False, help_text="Set by the operator of the service.")
    end_date = StringField(
        required=False, help_text="Last day of an evaluation (YYYY-MM-DD, UTC); set by the operator."
    )

    class Meta(ResourceSerializer.Meta):
        model = Organization
        fields = (
            "name", "created_at", "updated_at", "id", "refresh_token_id", "organization_type", "fullname", "contact",
            "reply_to", "picture", "options", "state", "end_date",
        )  # fmt: skip
        read_only = (
            "id",
            "refresh_token_id",
            "organization_type",
            "state",
            "end_date",
            "created_at",
            "updated_at",
        )
        optional = ("contact", "reply_to", "picture", "options", "state", "end_date")
