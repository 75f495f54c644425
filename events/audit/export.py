"""The audit log as lines of JSON, for keeping elsewhere."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import orjson
from django.db import models

from core.columns import JsonColumn, wire_value
from events.audit.models import AuditEvent

_BATCH = 1000
COLUMNS: tuple[models.Field[Any, Any], ...] = tuple(
    field for field in AuditEvent._meta.concrete_fields if field.name != "digest"
)


def export_lines(since: dt.datetime | None = None) -> Iterator[bytes]:
    """The events of the organization in scope in the order of their chain, a batch at a time in memory."""
    events = AuditEvent.objects.unnarrowed().order_by("sequence")
    if since is not None:
        events = events.filter(created_at__gte=since)
    last = -1
    while batch := list(events.filter(sequence__gt=last)[:_BATCH]):
        for event in batch:
            line = {field.attname: _value(event, field) for field in COLUMNS}
            yield orjson.dumps(line | {"digest": bytes(event.digest).hex()}, option=orjson.OPT_APPEND_NEWLINE)
        last = batch[-1].sequence


def _value(event: AuditEvent, field: models.Field[Any, Any]) -> Any:
    value = wire_value(field, getattr(event, field.attname))
    return orjson.Fragment(value) if isinstance(field, JsonColumn) and value is not None else value
