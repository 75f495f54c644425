"""The recorder of what happens: the log line, the webhooks that are told, and the audit row."""

from __future__ import annotations

from django.db import transaction

from core.activity import Activity
from core.logs import record_activity
from core.tenancy import Scope, scoped
from events.audit.services import append_event
from events.deliveries.outbox import announce


def record(activity: Activity) -> None:
    """Tells everybody who is to know, in the transaction of the change. What names no organization is only logged."""
    record_activity(activity)
    if not activity.organization_id:
        return
    with transaction.atomic(savepoint=False), scoped(Scope(activity.organization_id)):
        announce(activity)
        append_event(activity)  # the last step: it locks the organization's chain
