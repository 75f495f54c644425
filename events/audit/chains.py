"""The audit logs of all organizations, for whoever runs the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.tenancy import Scope, scoped, unscoped
from events.audit.models import AuditChain
from events.audit.proof import Proof, differs, prove
from organizations.models import Organization


def every_organization() -> list[str]:
    """The ids of all organizations, oldest first."""
    with unscoped("the operator looks after every organization's log"):
        return list(Organization.objects.order_by("id").values_list("id", flat=True))


def prove_all(organization_ids: Iterable[str]) -> Iterator[tuple[str, Proof]]:
    """Each organization, and what is found of its log."""
    for organization_id in organization_ids:
        with scoped(Scope(organization_id)):
            proof = prove()
        yield organization_id, proof


def compare(organization_id: str, proof: Proof, kept: Proof) -> Proof:
    """A log that holds in itself, held against its end of an earlier day."""
    with scoped(Scope(organization_id)):
        return proof if proof.broken else proof._replace(broken=differs(kept.sequence, kept.digest))


def is_short(organization_id: str, most: int = 5000) -> bool:
    """Whether a log has so few events that reading all of them takes no time worth a word."""
    with scoped(Scope(organization_id)):
        chain = AuditChain.objects.unnarrowed().first()
        return chain is None or chain.sequence - chain.pruned_sequence <= most
