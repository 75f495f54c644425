"""Secrets of webhooks, disabling and enabling them."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone

from core.activity import Activity, record
from core.errors import ConflictError
from credentials.models import Credential, CredentialType, OwnerType
from credentials.services import OVERLAP, delete_owned, open_config
from events.webhooks.clearing import start_clearing
from events.webhooks.models import DisabledReason, OrganizationWebhook

SIGNING_TYPES = (CredentialType.SECRET, CredentialType.TOKEN)
MOST_SIGNATURES = 5
MOST_WEBHOOKS = 100  # of an organization: a change is written once for each that wants it


class TooManyWebhooksError(ConflictError):
    """The organization has as many webhooks as it can have."""

    slug = "too-many-webhooks"
    remedy = "Delete a webhook, or give an existing one more filters."


class WebhookDisabledError(ConflictError):
    """Nothing is sent to a disabled webhook."""

    slug = "webhook-disabled"
    remedy = "Enable the webhook first."


def secrets_of(*, webhook: OrganizationWebhook, now: dt.datetime) -> list[str]:
    """The secrets that sign at a time: the webhook's own first, then what it has besides, such as the one before."""
    owned = Credential.objects.unnarrowed().filter(
        owner_type=OwnerType.ORGANIZATION_WEBHOOK, owner_id=webhook.id, credential_type__in=SIGNING_TYPES
    )
    valid = [each for each in owned.order_by("-created_at", "-id")[:50] if each.expires is None or each.expires > now]
    valid.sort(key=lambda each: each.id != webhook.credential_id)
    return [open_config(credential=each)["secret"] for each in valid[:MOST_SIGNATURES]]


def retire_secret(*, credential_id: str) -> None:
    """Lets the secret that another has taken the place of go on signing for a while, and no longer."""
    credential: Credential | None = Credential.objects.unnarrowed().filter(pk=credential_id).first()
    until = timezone.now() + OVERLAP
    if credential is not None and (credential.expires is None or credential.expires > until):
        credential.expires = until
        credential.touch()
        credential.save(update_fields=["expires", "updated_at"])


def disable_webhook(*, webhook: OrganizationWebhook, reason: DisabledReason) -> None:
    """Sends nothing to a locked webhook any more; what waits is cancelled."""
    if webhook.disabled_at is not None:
        return
    webhook.disabled_at, webhook.disabled_reason = timezone.now(), reason
    webhook.touch()
    webhook.save(update_fields=["disabled_at", "disabled_reason", "updated_at"])
    start_clearing(webhook_id=webhook.id, before=webhook.disabled_at)


def enable_webhook(*, webhook: OrganizationWebhook) -> None:
    """Sends to a locked webhook again, from the next event on."""
    if webhook.disabled_at is None:
        return
    webhook.disabled_at = webhook.disabled_reason = webhook.failing_since = None
    webhook.touch()
    webhook.save(update_fields=["disabled_at", "disabled_reason", "failing_since", "updated_at"])


def refuse_disabled(webhook: OrganizationWebhook) -> None:
    if webhook.disabled_at is not None:
        raise WebhookDisabledError(f"the webhook {webhook.name!r} is disabled")


def give_up(*, webhook: OrganizationWebhook, reason: DisabledReason) -> None:
    """Disables a locked webhook on the service's own account, which the audit log tells."""
    if webhook.disabled_at is not None:
        return
    disable_webhook(webhook=webhook, reason=reason)
    record(
        Activity(
            resource="webhooks",
            verb="disable",
            object_id=webhook.id,
            token_id="",
            organization_id=webhook.organization_id,
            note=f"disabled: {reason}",
            subject=webhook,
        )
    )


def delete_webhook(*, webhook: OrganizationWebhook) -> None:
    """Deletes a webhook with its secrets and deliveries."""
    webhook_id = webhook.id
    webhook.delete()
    delete_owned(owner_type=OwnerType.ORGANIZATION_WEBHOOK, owner_id=webhook_id)
    start_clearing(webhook_id=webhook_id, before=timezone.now())
