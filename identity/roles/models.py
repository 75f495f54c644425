"""The role: a permission set and where it holds, to give to members."""

from __future__ import annotations

from django.db import models

from core.columns import JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from identity.permissionsets.sets import Permissions


class Role(Resource):
    """A permission set and the part of the organization in which it holds.

    Every organization has the built-in ones from its start; they cannot be changed or deleted.
    """

    resource_type = "role"

    description = TextColumn(max_length=1024, null=True, default=None)
    resources = JsonColumn(null=True, default=None)
    permission_set = TextColumn(max_length=32, choices=Permissions.choices)
    is_builtin = models.BooleanField(default=False)

    class Meta:
        constraints = [named_once("role")]
        indexes = sorted_by("role", "fullname", "created_at", "updated_at", "id")

    @property
    def grant(self) -> dict[str, object]:
        """What it grants, as tokens and members keep it."""
        return {"permission_set": self.permission_set, "resources": self.resources or {}}
