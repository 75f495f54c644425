"""The bill on the wire."""

from __future__ import annotations

from core.fields import EnumField, IdField, InstantField, StringField
from core.serializers import ResourceSerializer
from integrations.billing.models import Usage
from integrations.billing.months import BillingMonth


class BillingSerializer(ResourceSerializer):
    """What an organization is billed for in one month."""

    name = StringField(help_text="The organization's name and the month.")
    created_at = InstantField(help_text="When the first call of the month was counted.")
    updated_at = InstantField(help_text="When the last call of the month was counted.")
    organization_id = IdField(help_text="Id of the organization.")
    month = EnumField(
        BillingMonth, help_text="The month, of those before the current one; `partial` is the current one to date."
    )
    report_date = InstantField(help_text="When the report was due: the end of its month, or now for `partial`.")
    csv_data = StringField(
        max_length=None,
        help_text="A line for each integration that was called, in CSV with a heading: organization, account, "
        "integration, environment, calls that succeeded and that failed, bytes from and to its provider.",
    )

    class Meta(ResourceSerializer.Meta):
        model = Usage
        fields = ("name", "created_at", "updated_at", "organization_id", "month", "report_date", "csv_data")
