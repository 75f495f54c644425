"""Where operations write: the sink integration of the account, through the adapter of its provider."""

from __future__ import annotations

from django.db import transaction

from catalog.adapters.interface import Delivery, Sink
from integrations.models import Integration
from integrations.operations.models import SinkRecord

SINK = "sink"  # the connector
MOST_KEPT = 10_000  # records of one mock sink; the oldest go first
_BATCH = 500


class TableSink:
    """The mock sink: it keeps the last records that it was given in a table."""

    def write(self, delivery: Delivery) -> None:
        rows = [
            SinkRecord.in_scope(
                integration_id=delivery.integration_id,
                execution_id=delivery.execution_id,
                record_id=record.id,
                operation=delivery.operation,
                data=dict(record.data),
            )
            for record in delivery.records
        ]
        with transaction.atomic():
            SinkRecord.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)
            mine = SinkRecord.objects.filter(integration_id=delivery.integration_id)
            oldest = mine.order_by("-id").values_list("id", flat=True)[MOST_KEPT : MOST_KEPT + 1]
            mine.filter(id__lte=oldest[0]).delete() if oldest else None


# A sink's adapter is found by the type of its provider.
SINKS: dict[str, Sink] = {"sink_mock_sink": TableSink()}


def find_sink(*, account_id: str) -> tuple[Integration | None, str]:
    """The sink of an account, or why there is none: the oldest one that has an adapter."""
    sinks = list(Integration.objects.unnarrowed().filter(account_id=account_id, category=SINK).order_by("id"))
    for each in sinks:
        if each.provider_type in SINKS:
            return each, ""
    if sinks:
        types = ", ".join(sorted({each.provider_type for each in sinks}))
        return None, f"the account's sink is of the provider {types}, which this service does not write to yet"
    return None, "the account has no integration of the connector 'sink' that would take what is read"
