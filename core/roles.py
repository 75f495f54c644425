"""The role that requests act as on PostgreSQL: it owns no table, so row level security holds for it."""

from __future__ import annotations

from typing import Any

from django.conf import settings

_MAY = """
SELECT rolsuper OR rolcreaterole OR EXISTS (
    SELECT FROM pg_roles AS r WHERE r.rolname = %s AND pg_has_role(session_user, r.oid, 'MEMBER')
) FROM pg_roles WHERE rolname = session_user
"""
# Roles are the whole server's: another database's migration may make the same one meanwhile.
_MAKE = """
DO $make$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
END $make$
"""


def may_act_as_tenant(database: Any) -> bool:
    """Whether the login role has the tenants' role or can make it."""
    with database.cursor() as cursor:
        cursor.execute(_MAY, [settings.TENANT_ROLE])
        return bool(cursor.fetchone()[0])


def ensure_role(database: Any) -> bool:
    """Makes the tenants' role and gives it to the login role, as far as that is needed. False if it is not allowed."""
    if not may_act_as_tenant(database):
        return False
    role = database.ops.quote_name(settings.TENANT_ROLE)
    with database.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [settings.TENANT_ROLE])
        if cursor.fetchone() is None:
            cursor.execute(_MAKE.format(role=role))
        cursor.execute("SELECT pg_has_role(session_user, %s, 'MEMBER')", [settings.TENANT_ROLE])
        if not cursor.fetchone()[0]:
            cursor.execute(f"GRANT {role} TO SESSION_USER")
    return True
