"""The organization."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db import models

from core.columns import IdColumn, JsonColumn, TextColumn, new_id
from core.models import Named


class OrganizationType(models.TextChoices):
    ROOT = "root"
    STANDARD = "standard"


class OrganizationState(models.TextChoices):
    ENABLED = "enabled"
    DISABLED = "disabled"
    POV = "pov"
    PLG = "plg"


class Organization(Named):
    """A tenant.

    States: no state or `enabled` (works); `disabled` (every request is 402); `pov` (an evaluation, never
    blocked by its `end_date`); `plg` (works until the end of its `end_date`, then as if disabled). Only the
    operator changes them, with `manage.py set_organization_state`; any state may follow any other.
    """

    resource_type: ClassVar[str] = "sub_org"
    tenant_column = "id"

    id = IdColumn(primary_key=True, default=new_id)
    name = TextColumn(max_length=255)
    fullname = TextColumn(max_length=255)
    parent = models.ForeignKey("self", models.RESTRICT, null=True, related_name="+", db_index=False)  # the one above
    refresh_token_id = IdColumn(null=True)
    organization_type = TextColumn(max_length=16, choices=OrganizationType.choices, default=OrganizationType.STANDARD)
    contact = TextColumn(max_length=255, null=True, default=None)
    reply_to = TextColumn(max_length=255, null=True, default=None)
    picture = TextColumn(max_length=2048, null=True, default=None)
    options = JsonColumn(null=True, default=None)
    state = TextColumn(max_length=16, choices=OrganizationState.choices, null=True, default=None)
    end_date = TextColumn(max_length=10, null=True, default=None)

    class Meta:
        # With a condition, if one that always holds, it is no key: a rename lets others refer to the row meanwhile, as
        # whoever appends to the audit log does while the rename waits for it.
        constraints = [
            models.UniqueConstraint(
                models.F("name"), condition=models.Q(name__isnull=False), name="organization_name_once"
            )
        ]
        indexes = [models.Index(fields=["parent", "name"], name="organization_by_parent")]

    def __str__(self) -> str:
        return f"organization {self.name} ({self.id})"


def is_blocked(state: str | None, end_date: str | None, today: str) -> bool:
    """Whether requests of an organization in this state are refused on this day (`YYYY-MM-DD`, UTC)."""
    if state == OrganizationState.PLG:
        return end_date is not None and today > end_date
    return state == OrganizationState.DISABLED


def is_blocked_now(organization: Organization) -> bool:
    """Whether requests of an organization are refused today."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    return is_blocked(organization.state, organization.end_date, today)
