"""The organization webhook."""

from __future__ import annotations

from django.db import models

from accounts.models import Environment
from core.columns import InstantColumn, JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from credentials.models import Credential


class WebhookFilter(models.TextChoices):
    """What can be told; `all` subscribes to everything, and is the event of a test."""

    ALL = "all"
    ACCOUNT_CREATE = "account_create"
    ACCOUNT_DELETE = "account_delete"
    ACCOUNT_UPDATE = "account_update"
    INTEGRATION_CREATE = "integration_create"
    INTEGRATION_DELETE = "integration_delete"
    INTEGRATION_UPDATE = "integration_update"
    OPERATION_COMPLETE = "operation_complete"


class DisabledReason(models.TextChoices):
    """Why nothing is sent to a webhook any more."""

    REQUESTED = "requested"  # somebody asked for it
    GONE = "gone"  # the receiver answered 410
    FAILING = "failing"  # nothing has got through for days


class OrganizationWebhook(Resource):
    """A receiver of what happens to the accounts of one environment.

    Enabled while `disabled_at` is empty; disabled by request, by an answer of 410, or when every attempt since
    `failing_since` has failed for too long. Only a request enables it again.
    """

    resource_type = "organization_webhook"

    environment = TextColumn(max_length=16, choices=Environment.choices, default=Environment.PROD)
    filters = JsonColumn()
    url = TextColumn(max_length=2048)
    credential = models.ForeignKey(Credential, models.RESTRICT, related_name="+")
    disabled_at = InstantColumn(null=True, default=None, editable=False)
    disabled_reason = TextColumn(max_length=16, choices=DisabledReason.choices, null=True, default=None, editable=False)
    failing_since = InstantColumn(null=True, default=None)

    class Meta:
        constraints = [named_once("webhook")]
        indexes = sorted_by("webhook", "fullname", "created_at", "updated_at", "id")
