"""The roles that every organization begins with."""

from __future__ import annotations

from core.columns import new_id
from identity.permissionsets.sets import Permissions
from identity.roles.models import Role

_BUILTIN = (
    ("administrator", "Administrator", "May do everything.", Permissions.ADMINISTRATOR),
    ("viewer", "Viewer", "May read everything but secrets.", Permissions.VIEWER),
    ("member", "Member", "May log on and read the status of integrations.", Permissions.MEMBER),
)
_ROOT = (
    "root_administrator",
    "Root administrator",
    "May do everything, and make and remove the organizations below.",
    Permissions.ADMINISTRATOR,
)


def create_builtin_roles(*, is_root: bool) -> None:
    """Makes the built-in roles of the organization in scope."""
    for name, fullname, description, permission_set in (*_BUILTIN, *((_ROOT,) if is_root else ())):
        Role.in_scope(
            id=new_id(),
            name=name,
            fullname=fullname,
            description=description,
            permission_set=permission_set,
            is_builtin=True,
        ).save(force_insert=True)
