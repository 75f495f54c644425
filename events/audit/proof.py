"""Proving a log: that no event was changed, added between or taken out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Subquery

from core.crypto.hashing import same
from core.tenancy import current_scope
from events.audit.models import AuditChain, AuditEvent
from events.audit.services import End, digest_of

_BATCH = 1000


class Proof(NamedTuple):
    """Where a log does not hold, None where it does; and its end, to be kept elsewhere."""

    broken: str | None
    sequence: int = 0
    digest: str = ""


def prove() -> Proof:
    """Of the organization in scope, while events are added and pruned."""
    while True:
        chain = _chain()
        if chain is None:
            return Proof("the chain was taken out")
        broken = _break_in(chain)
        later = _chain() if broken else None
        if later is None or later.pruned_sequence == chain.pruned_sequence:
            return Proof(broken, chain.sequence, bytes(chain.digest).hex())


def differs(sequence: int, digest: str) -> str | None:
    """How the log of the organization in scope differs from one that once ended like this; None if it goes on from it.

    An end that was pruned since tells nothing.
    """
    chain = _chain()
    last = chain.sequence if chain else 0
    if sequence > last:
        return f"it ended at event {sequence} when that was kept, and ends at {last} now: it is an older copy, or cut"
    if chain is None or sequence <= chain.pruned_sequence:
        return None
    event = AuditEvent.objects.unnarrowed().filter(sequence=sequence).first()
    if event is None or bytes(event.digest).hex() != digest:
        return f"event {sequence} is another than when it was the last"
    return None


def _chain() -> AuditChain | None:
    found: AuditChain | None = AuditChain.objects.unnarrowed().first()
    return found


def _break_in(chain: AuditChain) -> str | None:
    """Where the log breaks between its start and the end that the chain had when it was read."""
    end = End.of(chain)
    if not same(bytes(chain.mac), end.mac(current_scope().organization_id)):
        return "the row of the chain was changed"
    sequence, digest = end.pruned_sequence, end.pruned_digest
    for event in _between(end.pruned_sequence, end.sequence):
        sequence += 1
        if event.sequence != sequence:
            return f"event {sequence} is missing"
        if not same(bytes(event.digest), digest_of(event, digest)):
            return f"event {sequence} ({event.id}) was changed, or what comes before it"
        digest = bytes(event.digest)
    if (sequence, digest) != (end.sequence, end.digest):
        return f"the chain ends at event {end.sequence}, the log at {sequence}"
    return "there are events outside the chain" if _outside().exists() else None


def _between(after: int, last: int) -> Iterator[AuditEvent]:
    """The events of the organization after one and up to another, a batch at a time."""
    events = AuditEvent.objects.unnarrowed().order_by("sequence")
    while batch := list(events.filter(sequence__gt=after, sequence__lte=last)[:_BATCH]):
        yield from batch
        after = batch[-1].sequence


def _outside() -> QuerySet[Any, Any]:
    """Events that the chain does not have, by what it has when that is asked: it grows meanwhile."""
    chain = AuditChain.objects.unnarrowed()
    pruned = Q(sequence__lte=Subquery(chain.values("pruned_sequence")))
    return AuditEvent.objects.unnarrowed().filter(pruned | Q(sequence__gt=Subquery(chain.values("sequence"))))
