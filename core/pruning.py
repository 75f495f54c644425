"""Deleting many rows, a batch at a time."""

from __future__ import annotations

from typing import Any

from django.db import models

from core.tenancy import unscoped

_BATCH = 2000


def delete_old(model: type[models.Model], **old: Any) -> int:
    """Deletes the rows of a table that meet a condition of age, whosever they are. Gives their number."""
    with unscoped("rows end by their age, whosever they are"):
        return delete_in_batches(model._default_manager.filter(**old))


def delete_in_batches(rows: models.QuerySet[Any, Any]) -> int:
    """Deletes rows a batch at a time, so that nobody who writes meanwhile waits for long."""
    deleted, everything = 0, rows.model._base_manager
    while count := everything.filter(pk__in=rows.order_by().values("pk")[:_BATCH]).delete()[0]:
        deleted += count
    return deleted
