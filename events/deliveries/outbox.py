"""The outbox: a change is written for every webhook that wants it, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from accounts.models import Account
from accounts.serializers import AccountSerializer
from core.activity import DONE, Activity
from core.plan import plan_of
from events.deliveries.services import About, queue_delivery
from events.webhooks.models import WebhookFilter

# What is told of which activity. A patch is an update.
EVENTS: dict[tuple[str, str], WebhookFilter] = {
    ("accounts", "create"): WebhookFilter.ACCOUNT_CREATE,
    ("accounts", "update"): WebhookFilter.ACCOUNT_UPDATE,
    ("accounts", "patch"): WebhookFilter.ACCOUNT_UPDATE,
    ("accounts", "delete"): WebhookFilter.ACCOUNT_DELETE,
    ("integrations", "create"): WebhookFilter.INTEGRATION_CREATE,
    ("integrations", "update"): WebhookFilter.INTEGRATION_UPDATE,
    ("integrations", "patch"): WebhookFilter.INTEGRATION_UPDATE,
    ("integrations", "delete"): WebhookFilter.INTEGRATION_DELETE,
    # Its subject has an `account_id` and an `integration_id`; its document is the integration as GET shows it.
    ("operations", "complete"): WebhookFilter.OPERATION_COMPLETE,
}


def announce(activity: Activity, enabled: Iterable[tuple[Any, str, str]]) -> None:
    """Queues a delivery for each webhook that an activity concerns, of the enabled ones: id, environment, filters."""
    event = EVENTS.get((activity.resource, activity.verb))
    if event is None or activity.document is None:
        return
    if activity.outcome != DONE and event != WebhookFilter.OPERATION_COMPLETE:  # which ended, well or not
        return
    wanting = [(str(pk), environment) for pk, environment, filters in enabled
               if {event, WebhookFilter.ALL} & set(orjson.loads(filters))]  # fmt: skip
    account = _account_of(activity) if wanting else None
    receivers = [webhook_id for webhook_id, environment in wanting if account and environment == account.environment]
    if account is None or not receivers:
        return
    payload, about = _payload(event, activity, account), _about(activity, account)
    for webhook_id in receivers:
        queue_delivery(webhook_id=webhook_id, payload=payload, about=about)


def _account_of(activity: Activity) -> Account | None:
    if activity.resource == "accounts":
        account: Account | None = activity.subject
        return account
    return Account.objects.filter(pk=getattr(activity.subject, "account_id", None)).first()


def _about(activity: Activity, account: Account) -> About:
    if activity.resource == "accounts":
        return About(activity.object_id)
    is_integration = activity.resource == "integrations"
    integration_id = activity.object_id if is_integration else getattr(activity.subject, "integration_id", None)
    return About(account.id, integration_id, getattr(activity.subject, "category", None))


def _payload(event: WebhookFilter, activity: Activity, account: Account) -> dict[str, Any]:
    """The event with its objects as GET shows them, which is without secrets. A nonce is added for each receiver."""
    document = activity.document() if activity.document is not None else {}
    if activity.resource == "accounts":
        return {"event": event, "account": document}
    return {"event": event, "account": plan_of(AccountSerializer).document(account), "integration": document}
