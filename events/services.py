"""The recorder of what happens: the log line, the webhooks that are told, and the audit row."""

from __future__ import annotations

import contextlib
import functools

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from core.activity import Activity
from core.columns import IdColumn
from core.logs import record_activity
from core.prepared import Prepared, Slot
from core.tenancy import Scope, current_scope, scoped
from events.audit.models import AuditChain
from events.audit.services import END, append_event, begin_chain, lock_chain, locked_rows, read_end
from events.deliveries.outbox import announce
from events.webhooks.models import OrganizationWebhook


def record(activity: Activity) -> None:
    """Tells everybody who is to know, in the transaction of the change. What names no organization is only logged."""
    record_activity(activity)
    if not activity.organization_id:
        return
    organization_id = activity.organization_id
    with in_transaction(), scoped(Scope(organization_id)):
        rows = locked_rows(_chain_and_webhooks(), organization_id)  # what locks the chain is the last to lock a row
        end, holds = read_end(organization_id, rows[0][: len(END)])
        announce(activity, [row[len(END) :] for row in rows if row[-1] is not None])
        append_event(activity, end, holds=holds)


@functools.cache
def _chain_and_webhooks() -> Prepared:
    """The end of an organization's log, locked, beside each webhook that is enabled: one question instead of two."""
    chain = ", ".join(f"chain.{name}" for name in END)
    lock = "FOR UPDATE OF chain" if connection.features.has_select_for_update_of else ""
    return Prepared.of(
        f"SELECT {chain}, webhook.id, webhook.environment, webhook.filters FROM {AuditChain._meta.db_table} AS chain "  # noqa: S608 - the models' names
        f"LEFT JOIN {OrganizationWebhook._meta.db_table} AS webhook "
        "ON webhook.organization_id = chain.organization_id AND webhook.disabled_at IS NULL "
        f"WHERE chain.organization_id = %s {lock}",
        [Slot("organization_id", IdColumn())],
    )


def in_transaction() -> contextlib.AbstractContextManager[None]:
    """The transaction of the cause; one of its own where there is none."""
    is_within = connection.in_atomic_block
    return transaction.mark_for_rollback_on_error(using=DEFAULT_DB_ALIAS) if is_within else transaction.atomic()


def open_log() -> None:
    """Gives the new organization in scope its chain: from now on it is seen if somebody takes it out."""
    begin_chain()


def close_log() -> str:
    """Where the log of the organization in scope ends, for that of the one above: it goes with the organization."""
    end, holds = lock_chain(current_scope().organization_id)
    told = f"its audit log ended at event {end.sequence} with the digest {end.digest.hex()}"
    return told if holds else f"{told}, and its chain was broken"
