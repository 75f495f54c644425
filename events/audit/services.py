"""Appending to the audit log, and cutting off what is old."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson
import structlog
from django.db import connection, models, transaction

from accounts.models import Account
from core.activity import DONE, Activity, storable
from core.columns import IdColumn, is_id, new_id, wire_value
from core.crypto.hashing import keyed_hash, same
from core.instants import format_instant, now_text
from core.models import insertion
from core.prepared import Prepared, Slot, Statement, prepared
from core.tenancy import current_scope
from events.audit.models import AuditChain, AuditEvent, AuditType

LONGEST_BODY = 16_384  # bytes kept of a body
ALARMS = frozenset({"reused-secret", "too-many-failures"})
_BROKEN = b"broken"  # goes before an event whose chain somebody else has written
_INSTANT = dt.timedelta(microseconds=1)
log = structlog.get_logger("synqmgr.audit")


class End(NamedTuple):
    """What an organization's row in the table of chains says."""

    sequence: int = 0
    digest: bytes = b""
    ended_at: str = ""
    pruned_sequence: int = 0
    pruned_digest: bytes = b""

    @classmethod
    def read(cls, values: Iterable[Any]) -> End:
        """Of a row's values, as any of the drivers gives them."""
        return cls._make(bytes(value) if isinstance(value, memoryview) else value for value in values)

    @classmethod
    def of(cls, chain: AuditChain) -> End:
        return cls.read(getattr(chain, name) for name in cls._fields)

    def mac(self, organization_id: str) -> bytes:
        """The keyed hash that only the service can write beside it. No event's begins with this word."""
        values = [self.sequence, self.digest.hex(), self.ended_at, self.pruned_sequence, self.pruned_digest.hex()]
        return keyed_hash("chain" + orjson.dumps([organization_id, *values]).decode(), "audit")


END = (*End._fields, "mac")  # the columns of a chain's row that `read_end` takes


def append_event(activity: Activity, end: End, *, holds: bool) -> None:
    """Writes the row of one activity behind the end of a locked chain, in the transaction of its cause.

    `holds` is whether the service wrote that end.
    """
    organization_id, columns = current_scope().organization_id, _columns(activity)
    sequence, moment = end.sequence + 1, _moment_after(end.ended_at)
    columns |= {"id": new_id(), "organization_id": organization_id, "sequence": sequence, "created_at": moment}
    values = [columns[field.attname] for field in _chained()]
    # A change is not refused because of it, but from here on the chain shows that its end was not ours.
    digest = _digest(values, end.digest if holds else _BROKEN)
    moved = end._replace(sequence=sequence, digest=digest, ended_at=moment)
    # Past the model: no instance is needed of what nobody changes, and every change waits for this.
    given = [sequence, digest, moment, moved.mac(organization_id), organization_id, *values, digest]
    for statement in _appending():
        statement.run(given[: statement.places])
        del given[: statement.places]


@functools.cache
def _appending() -> list[Statement]:
    """What moves the end of a chain and adds an event: one statement where the database can do two things in one."""
    table, names = AuditChain._meta.db_table, ("sequence", "digest", "ended_at", "mac")
    places = ", ".join(f"{name} = %s" for name in names)
    moving = Statement(f"UPDATE {table} SET {places} WHERE organization_id = %s", len(names) + 1)  # noqa: S608 - the model's names
    adding = insertion(AuditEvent, (*_chained(), AuditEvent._meta.get_field("digest")))
    if connection.vendor != "postgresql":
        return [moving, adding]
    return [Statement(f"WITH moved AS ({moving.sql}) {adding.sql}", moving.places + adding.places)]


def begin_chain(end: End | None = None) -> None:
    """Makes the chain of the organization in scope. Of two makers at once the second waits for the first."""
    end = end or End()
    chain = AuditChain.in_scope(**end._asdict(), mac=end.mac(current_scope().organization_id))
    AuditChain.objects.bulk_create([chain], ignore_conflicts=True)


def lock_chain(organization_id: str) -> tuple[End, bool]:
    """The end of the organization's log, and whether the service wrote it. Whoever else appends waits."""
    return read_end(organization_id, locked_rows(prepared("audit chain", _end_of_chain), organization_id)[0])


def locked_rows(statement: Prepared, organization_id: str) -> list[tuple[Any, ...]]:
    """The rows of a statement that locks an organization's chain and selects it."""
    if not (rows := statement.rows(organization_id=organization_id)):
        # Somebody took it out. The new one lacks an event that never was, so the loss stays visible.
        begin_chain(End(sequence=1))
        rows = statement.rows(organization_id=organization_id)
    return rows


def read_end(organization_id: str, row: Sequence[Any]) -> tuple[End, bool]:
    """What a row with the columns `END` says: the end of the log, and whether the service wrote it."""
    *values, mac = row
    end = End.read(values)
    holds = same(bytes(mac), end.mac(organization_id))
    if not holds:
        log.error("audit_chain_broken", organization_id=organization_id)
    return end, holds


def _end_of_chain() -> models.QuerySet[Any, Any]:
    slot = Slot("organization_id", IdColumn())
    chains: models.QuerySet[Any, Any] = AuditChain._base_manager.filter(organization_id=slot)
    return chains.select_for_update().values_list(*END)


def _moment_after(previous: str) -> str:
    """Now, but after the event before: hosts' clocks differ, and whoever reads by time must not miss one."""
    now = now_text()
    return now if now > previous else format_instant(dt.datetime.fromisoformat(previous) + _INSTANT)


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
        "method": call.method if call else "POST",
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


def digest_of(event: AuditEvent, before: bytes) -> bytes:
    """The keyed hash of an event and the digest before it."""
    return _digest([wire_value(field, getattr(event, field.attname)) for field in _chained()], before)


def _digest(values: list[Any], before: bytes) -> bytes:
    return keyed_hash(before.hex() + orjson.dumps(values).decode(), "audit")


def prune_events(*, before: dt.datetime, most: int = 10_000) -> int:
    """Deletes the oldest events of the organization in scope, at most so many, and notes where its chain starts now.

    None of a log whose end the service did not write: what was done to it must stay to be seen.
    """
    organization_id = current_scope().organization_id
    with transaction.atomic():
        end, holds = lock_chain(organization_id)
        kept = AuditEvent.objects.unnarrowed().filter(created_at__gte=before).order_by("sequence").first()
        until = min(kept.sequence if kept else end.sequence + 1, end.pruned_sequence + most + 1)
        old = AuditEvent.objects.unnarrowed().filter(sequence__lt=until)
        last = old.order_by("-sequence").first() if holds else None
        if last is None:
            return 0
        deleted, _ = old.delete()
        cut = end._replace(pruned_sequence=last.sequence, pruned_digest=bytes(last.digest))
        AuditChain.objects.unnarrowed().update(
            pruned_sequence=cut.pruned_sequence, pruned_digest=cut.pruned_digest, mac=cut.mac(organization_id)
        )
    return deleted
