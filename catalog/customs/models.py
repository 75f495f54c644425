"""The custom provider."""

from __future__ import annotations

from core.columns import JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by

LONGEST = 64 * 1024


class Custom(Resource):
    """A provider that an organization has defined. `definition` is what the document `data` holds, read once."""

    resource_type = "custom"
    reserved_names = frozenset({"schema"})

    data = TextColumn(max_length=LONGEST)
    definition = JsonColumn()

    class Meta:
        constraints = [named_once("custom")]
        indexes = sorted_by("custom", "fullname", "created_at", "updated_at", "id")
