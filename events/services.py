"""The recorder of what happens: the log line, the webhooks that are told, and the audit row."""

from __future__ import annotations

from django.db import transaction

from core.activity import Activity
from core.logs import record_activity
from core.tenancy import Scope, current_scope, scoped
from events.audit.services import append_event, begin_chain, lock_chain
from events.deliveries.outbox import announce


def record(activity: Activity) -> None:
    """Tells everybody who is to know, in the transaction of the change. What names no organization is only logged."""
    record_activity(activity)
    if not activity.organization_id:
        return
    with transaction.atomic(savepoint=False), scoped(Scope(activity.organization_id)):
        announce(activity)
        append_event(activity)  # the last step: it locks the organization's chain


def open_log() -> None:
    """Gives the new organization in scope its chain: from now on it is seen if somebody takes it out."""
    begin_chain()


def close_log() -> str:
    """Where the log of the organization in scope ends, for that of the one above: it goes with the organization."""
    end, holds = lock_chain(current_scope().organization_id)
    told = f"its audit log ended at event {end.sequence} with the digest {end.digest.hex()}"
    return told if holds else f"{told}, and its chain was broken"
