"""Where an execution meets the mappings of its integration."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.adapters.interface import Record
from core.errors import InvalidError
from integrations.models import Integration


class MappingsNotAppliedError(InvalidError):
    """The integration has mappings for the operation, and scheduled operations do not apply them."""

    slug = "mappings-not-applied"
    remedy = "Take the operation out of the integration's mappings, or its schedule off."


def mapping_objection(*, integration: Integration, operation: str) -> str:
    """Why records of an operation cannot be written as the integration's mappings say; empty if they can."""
    chains = [each for each in integration.mappings or [] if operation in each["operation_ids"]]
    if chains or integration.additional_mappings:
        return "the integration has mappings for this operation, which scheduled operations do not apply yet"
    return ""


def transform(*, records: Sequence[Record], integration: Integration, operation: str) -> Sequence[Record]:
    """The records as the integration's mappings make them."""
    if objection := mapping_objection(integration=integration, operation=operation):
        raise MappingsNotAppliedError(objection)
    return records
