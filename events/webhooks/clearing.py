"""Clearing what waits for a webhook that was disabled or deleted: a part with the change, and a run does the rest."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from core.ledger.models import Run
from core.ledger.services import Claim, Outcome, enqueue
from events.deliveries.services import cancel_pending, delete_deliveries
from events.webhooks.models import OrganizationWebhook

KIND = "webhook-clearing"  # of runs in the ledger


def clear(*, webhook_id: str, before: dt.datetime) -> bool:
    """Cancels some of what was to be sent before a time; of a webhook that is gone, deletes some of its deliveries.

    Says whether that was all. The webhook is locked before its deliveries, as wherever both are.
    """
    with transaction.atomic():
        if OrganizationWebhook.objects.select_for_update(of=("self",)).filter(pk=webhook_id).first() is not None:
            return cancel_pending(webhook_id=webhook_id, before=before)
        return delete_deliveries(webhook_id=webhook_id)


def start_clearing(*, webhook_id: str, before: dt.datetime) -> None:
    """Begins with the first part in the caller's transaction; the time it takes does not grow with what waits."""
    if not clear(webhook_id=webhook_id, before=before):
        enqueue(kind=KIND, subject_id=webhook_id)


def work(claimed: Claim) -> Outcome:
    """Clears the rest. It may be done again by another worker."""
    before = Run.objects.values_list("created_at", flat=True).get(pk=claimed.run_id)
    while not clear(webhook_id=claimed.subject_id, before=before):
        pass
    return Outcome("done")
