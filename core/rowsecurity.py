"""Row level security: what `migrate` installs on PostgreSQL, from the models as they are."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import structlog
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connection, connections, models, transaction
from django.db.backends.utils import truncate_name
from django.utils.module_loading import import_string

from core.roles import ensure_role
from core.tenancy import TenantModel

log = structlog.get_logger("synqmgr.rowsecurity")
LONGEST_NAME = 63  # PostgreSQL cuts longer ones off
WHY_NOT = (
    "row level security is off: the login role has no role {role!r} to act as, or `manage.py migrate` was not run "
    "since. Let the login role create roles, or run: CREATE ROLE {role} NOLOGIN; GRANT {role} TO <login role>;"
)
# A query of its own each, which runs once a statement and not once a row.
_ORGANIZATION = "(SELECT nullif(btrim(current_setting('app.org', true), '*'), '')::uuid)"
_EVERYBODY = "(SELECT current_setting('app.org', true) = '*')"


def tenant_columns() -> dict[str, list[str]]:
    """Each table of tenants, and the columns by which its models find theirs; that of their keys is one."""
    columns: dict[str, list[str]] = {}
    for model in apps.get_models():
        if (column := getattr(model, "tenant_column", None)) is not None:
            columns.setdefault(model._meta.db_table, []).append(column)
    return columns


def policy(columns: list[str]) -> tuple[str, str]:
    """The name and condition of a table's policy. The name follows the condition, so that a changed one is seen."""
    own = " OR ".join(f'"{column}" = {_ORGANIZATION}' for column in dict.fromkeys(columns))
    condition = f"{own} OR {_EVERYBODY}"
    return f"tenant_{hashlib.sha256(condition.encode()).hexdigest()[:8]}", condition


def before_migrations(*, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Before migrations: they are the owner's."""
    database: Any = connections[using]
    if database.vendor == "postgresql":
        database.ensure_connection()
        database.resume_owner()


def after_migrations(*, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """After migrations: locks every table of tenants there is by now, and takes the tenants' role."""
    database: Any = connections[using]
    if database.vendor != "postgresql":
        return
    before_migrations(using=using)
    tables = set(database.introspection.table_names())
    with database.cursor() as cursor, transaction.atomic(using=using):
        for statement in (*_keys(cursor, tables), *_immediate(cursor)):
            cursor.execute(statement)
    if settings.ROW_SECURITY == "off":
        return
    if not ensure_role(database):
        if settings.ROW_SECURITY == "on":
            raise ImproperlyConfigured(WHY_NOT.format(role=settings.TENANT_ROLE))
        return
    columns = tenant_columns()
    if columns.keys() <= tables:  # else these are the migrations of some apps only
        with database.cursor() as cursor, transaction.atomic(using=using):
            for statement in (*_policies(cursor, columns), *_lookup(cursor), *_grants(cursor)):
                cursor.execute(statement)
    database.assume_tenant()


def announce() -> None:
    """When a server starts: says once if the second lock is missing, and refuses if it must not be."""
    database: Any = connection
    if database.vendor != "postgresql" or settings.ROW_SECURITY == "off":
        return
    database.ensure_connection()
    if database.is_tenant:
        return
    if settings.ROW_SECURITY == "on":
        raise ImproperlyConfigured(WHY_NOT.format(role=settings.TENANT_ROLE))
    log.warning("row_security_off", why=WHY_NOT.format(role=settings.TENANT_ROLE))


def as_owner() -> contextlib.AbstractContextManager[None]:
    """For what only the owner of a table may do to it, such as counting its rows for the planner."""
    database: Any = connection
    return database.as_owner() if database.vendor == "postgresql" else contextlib.nullcontext()


def _policies(cursor: Any, columns: dict[str, list[str]]) -> Iterator[str]:
    cursor.execute(
        "SELECT c.relname, c.relrowsecurity, array_remove(array_agg(p.polname::text), NULL) FROM pg_class AS c "
        "LEFT JOIN pg_policy AS p ON p.polrelid = c.oid "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' GROUP BY c.oid"
    )
    found = {table: (locked, names) for table, locked, names in cursor.fetchall()}
    for table, of_table in columns.items():
        name, condition = policy(of_table)
        locked, names = found[table]
        if locked and names == [name]:
            continue  # changing nothing waits for nobody
        for old in names:
            yield f'DROP POLICY "{old}" ON "{table}"'
        yield f'CREATE POLICY "{name}" ON "{table}" USING ({condition})'
        yield f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY'


def _lookup(cursor: Any) -> list[str]:
    lookup, role = import_string(settings.TENANT_LOOKUP), connection.ops.quote_name(settings.TENANT_ROLE)
    return [*lookup.definition(cursor), f"GRANT EXECUTE ON FUNCTION {lookup.signature} TO {role}"]


def _grants(cursor: Any) -> Iterator[str]:
    """Every table of ours, also those of no tenant; what else is in the schema is not ours to give."""
    role = connection.ops.quote_name(settings.TENANT_ROLE)
    cursor.execute(
        "SELECT current_schema(), has_schema_privilege(%s, current_schema(), 'USAGE'), array_agg(relname::text) "
        "FROM pg_class WHERE relkind = 'r' "
        "AND relnamespace = current_schema()::regnamespace AND pg_has_role(relowner, 'USAGE')",
        [settings.TENANT_ROLE],
    )
    schema, has_schema, tables = cursor.fetchone()
    if not has_schema:
        yield f'GRANT USAGE ON SCHEMA "{schema}" TO {role}'
    listed = ", ".join(connection.ops.quote_name(table) for table in tables)
    yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {listed} TO {role}"


def _keys(cursor: Any, tables: set[str]) -> Iterator[str]:
    """Foreign keys that hold the organization too: a plain one accepts another organization's row."""
    cursor.execute("SELECT conname FROM pg_constraint WHERE connamespace = current_schema()::regnamespace")
    found = {name for (name,) in cursor.fetchall()}
    for field in tenant_keys():
        table, to = field.model._meta.db_table, field.related_model._meta.db_table
        if not {table, to} <= tables:
            continue
        unique, key = truncate_name(f"{to}_of_tenant", LONGEST_NAME), key_name(field)
        if unique not in found:
            found.add(unique)
            primary = field.target_field.column
            yield f'ALTER TABLE "{to}" ADD CONSTRAINT "{unique}" UNIQUE ("organization_id", "{primary}")'
        if key not in found:
            yield (
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{key}" FOREIGN KEY ("organization_id", "{field.column}") '
                f'REFERENCES "{to}" ("organization_id", "{field.target_field.column}")'
                f"{connection.ops.deferrable_sql()}"
            )


def _immediate(cursor: Any) -> list[str]:
    """Keys made when they were checked at the commit are checked at each statement, as new ones are."""
    cursor.execute(
        "SELECT t.relname, k.conname FROM pg_constraint AS k JOIN pg_class AS t ON t.oid = k.conrelid "
        "WHERE k.contype = 'f' AND k.condeferred AND t.relname = ANY(%s) "
        "AND t.relnamespace = current_schema()::regnamespace",
        [[model._meta.db_table for model in apps.get_models(include_auto_created=True)]],
    )
    when = connection.ops.deferrable_sql()
    return [f'ALTER TABLE "{table}" ALTER CONSTRAINT "{key}"{when}' for table, key in cursor.fetchall()]


def key_name(field: Any) -> str:
    return truncate_name(f"{field.model._meta.db_table}_{field.column}_of_tenant", LONGEST_NAME)


def tenant_keys() -> Iterator[Any]:
    """The foreign keys from one table of tenants to another."""
    for model in apps.get_models():
        if model._meta.proxy or not _has_organization(model):
            continue
        for field in model._meta.local_concrete_fields:
            is_constraint = isinstance(field, models.ForeignKey) and getattr(field, "db_constraint", True)
            if is_constraint and _has_organization(field.related_model):
                yield field


def _has_organization(model: Any) -> bool:
    return issubclass(model, TenantModel) and model.tenant_column == "organization_id"
