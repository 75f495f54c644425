"""Organizations below a root organization."""

from __future__ import annotations

from typing import ClassVar

from organizations.models import Organization


class SubOrganization(Organization):
    """An organization as the one above sees it: its row, and nothing of what is inside."""

    tenant_column = "parent_id"
    narrowed_by: ClassVar[dict[str, str]] = {"organizations": "id"}

    class Meta:
        proxy = True
