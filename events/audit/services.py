"""Appending to the audit log, proving its chain, and cutting off what is old."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator
from typing import Any

import orjson
from django.db import models, transaction

from accounts.models import Account
from core.activity import DONE, Activity, storable
from core.columns import IdColumn, is_id, new_id, now_text, wire_value
from core.crypto.hashing import keyed_hash, same
from core.models import insertion
from core.prepared import Prepared, Slot, prepared
from core.tenancy import current_scope
from events.audit.models import AuditChain, AuditEvent, AuditType

LONGEST_BODY = 16_384  # bytes kept of a body
ALARMS = frozenset({"reused-secret", "too-many-failures"})
_BATCH = 1000


def append_event(activity: Activity) -> None:
    """Writes the row of one activity, in the transaction of its cause and as its last step: it locks the chain."""
    organization_id, columns = current_scope().organization_id, _columns(activity)
    sequence, before = _lock_chain(organization_id)
    # The time is taken under the lock, so that times follow the chain.
    columns |= {"id": new_id(), "organization_id": organization_id, "sequence": sequence + 1, "created_at": now_text()}
    values = [columns[field.attname] for field in _chained()]
    digest = _digest(values, before)
    # Past the model: no instance is needed of what nobody changes, and every change waits for this.
    insertion(AuditEvent, (*_chained(), _digest_column())).run([*values, digest])
    _move_chain().rows(sequence=sequence + 1, digest=digest, organization_id=organization_id)


def _lock_chain(organization_id: str) -> tuple[int, bytes]:
    """The number and digest of the organization's last event. Whoever else appends waits for this transaction."""
    rows = prepared("audit chain", _end_of_chain).rows(organization_id=organization_id)
    if not rows:  # the organization's first event; of two at once the second waits for the first
        AuditChain.objects.bulk_create([AuditChain.in_scope()], ignore_conflicts=True)
        rows = prepared("audit chain", _end_of_chain).rows(organization_id=organization_id)
    sequence, digest = rows[0]
    return sequence, bytes(digest)


def _end_of_chain() -> models.QuerySet[Any, Any]:
    slot = Slot("organization_id", IdColumn())
    chains: models.QuerySet[Any, Any] = AuditChain._base_manager.filter(organization_id=slot)
    return chains.select_for_update().values_list("sequence", "digest")


@functools.cache
def _move_chain() -> Prepared:
    table, fields = AuditChain._meta.db_table, {f.attname: f for f in AuditChain._meta.concrete_fields}
    return Prepared.of(
        f"UPDATE {table} SET sequence = %s, digest = %s WHERE organization_id = %s",  # noqa: S608 - the model's name
        [Slot("sequence", fields["sequence"]), Slot("digest", fields["digest"]), Slot("organization_id", IdColumn())],
    )


def _columns(activity: Activity) -> dict[str, Any]:
    """What an event's columns hold of an activity, as the databases take it."""
    call, subject = activity.call, activity.subject
    account_id = _related(activity, "account")
    done = activity.outcome == DONE
    return {
        "audit_type": (
            AuditType.API if done else AuditType.ALARM if activity.outcome in ALARMS else AuditType.ERROR
        ).value,
        "action": f"{activity.resource}.{activity.verb}",
        "object_id": activity.object_id if is_id(activity.object_id) else None,
        "token_id": activity.token_id or None,
        "member_id": activity.member_id or None,
        "account_id": account_id,
        "integration_id": _related(activity, "integration"),
        "bridge_group_id": _related(activity, "bridge_group"),
        "category": getattr(subject, "category", None),
        "environment": str(_environment_of(subject, account_id)),
        "remote_addr": call.address if call else "",
        "user_agent": call.agent if call else "",
        "method": call.method if call else "",
        "path": call.path if call else "",
        "code": str(activity.status),
        "status": activity.outcome,
        "response": storable(activity.message[:1024]) or None,
        "body": _text(call.body) if call else None,
    }


def _related(activity: Activity, noun: str) -> str | None:
    """The id of the account, integration or the like that an activity is about."""
    subject = activity.subject
    if getattr(subject, "resource_type", "") == noun:
        return activity.object_id
    found: str | None = getattr(subject, f"{noun}_id", None)
    return found


def _environment_of(subject: Any, account_id: str | None) -> str:
    """Of the account; empty for what belongs to none."""
    nearest = subject if hasattr(subject, "environment") else getattr(subject, "account", None)
    if nearest is not None or account_id is None:
        return getattr(nearest, "environment", "")
    return Account.objects.unnarrowed().filter(pk=account_id).values_list("environment", flat=True).first() or ""


def _text(body: Any) -> str | None:
    if body is None:
        return None
    text = orjson.dumps(body)
    if len(text) > LONGEST_BODY:
        text = orjson.dumps({"truncated": f"the body had {len(text)} bytes"})
    return text.decode()


@functools.cache
def _chained() -> tuple[models.Field[Any, Any], ...]:
    return tuple(f for f in AuditEvent._meta.concrete_fields if f.name != "digest")


def _digest_column() -> models.Field[Any, Any]:
    return AuditEvent._meta.get_field("digest")


def digest_of(event: AuditEvent, before: bytes) -> bytes:
    """The keyed hash of an event and the digest before it."""
    return _digest([wire_value(field, getattr(event, field.attname)) for field in _chained()], before)


def _digest(values: list[Any], before: bytes) -> bytes:
    return keyed_hash(before.hex() + orjson.dumps(values).decode(), "audit")


def find_break() -> str | None:
    """Where the chain of the organization in scope does not hold; None where it does."""
    chain = AuditChain.objects.unnarrowed().first()
    if chain is None:
        return "there are events without a chain" if AuditEvent.objects.unnarrowed().exists() else None
    sequence, digest = chain.pruned_sequence, bytes(chain.pruned_digest)
    for event in _in_order():
        sequence += 1
        if event.sequence != sequence:
            return f"event {sequence} is missing"
        if not same(bytes(event.digest), digest_of(event, digest)):
            return f"event {sequence} ({event.id}) was changed, or what comes before it"
        digest = bytes(event.digest)
    if (sequence, digest) != (chain.sequence, bytes(chain.digest)):
        return f"the chain ends at event {chain.sequence}, the log at {sequence}"
    return None


def _in_order() -> Iterator[AuditEvent]:
    """All events of the organization, a batch at a time."""
    events, last = AuditEvent.objects.unnarrowed().order_by("sequence"), -1
    while batch := list(events.filter(sequence__gt=last)[:_BATCH]):
        yield from batch
        last = batch[-1].sequence


def prune_events(*, before: dt.datetime, most: int = 10_000) -> int:
    """Deletes the oldest events of the organization in scope, at most so many, and notes where its chain starts now."""
    with transaction.atomic():
        end, _ = _lock_chain(current_scope().organization_id)
        kept = AuditEvent.objects.unnarrowed().filter(created_at__gte=before).order_by("sequence").first()
        pruned = AuditChain.objects.unnarrowed().get().pruned_sequence
        until = min(kept.sequence if kept else end + 1, pruned + most + 1)
        old = AuditEvent.objects.unnarrowed().filter(sequence__lt=until)
        last = old.order_by("-sequence").first()
        if last is None:
            return 0
        deleted, _ = old.delete()
        AuditChain.objects.unnarrowed().update(pruned_sequence=last.sequence, pruned_digest=last.digest)
    return deleted
