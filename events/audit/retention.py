"""Cutting old events off the audit logs of all organizations, which the logs themselves then tell."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from core.activity import Activity, record
from core.instants import format_instant
from core.tenancy import Scope, scoped
from events.audit.chains import every_organization
from events.audit.models import AuditEvent
from events.audit.services import prune_events


def prune_audit(*, before: dt.datetime) -> int:
    """Deletes the events before a time. Each cut is an event of its log, committed with it."""
    return sum(_prune_log(organization_id, before) for organization_id in every_organization())


def _prune_log(organization_id: str, before: dt.datetime) -> int:
    """A portion at a time: nobody can change anything in the organization while its chain is locked."""
    deleted = 0
    with scoped(Scope(organization_id)):
        while _is_older(before):
            with transaction.atomic():
                count = prune_events(before=before)
                if not count:  # another process was first
                    break
                record(_news(organization_id, f"{count} events before {format_instant(before)} were deleted"))
            deleted += count
    return deleted


def _is_older(before: dt.datetime) -> bool:
    """Whether the log's oldest event is: a look that locks nothing."""
    oldest = AuditEvent.objects.unnarrowed().order_by("sequence").values_list("created_at", flat=True).first()
    return oldest is not None and oldest < before


def _news(organization_id: str, message: str) -> Activity:
    return Activity(
        resource="audit",
        verb="prune",
        object_id=organization_id,
        token_id="",
        organization_id=organization_id,
        note=message,
    )
