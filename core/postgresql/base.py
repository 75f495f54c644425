"""The database wrapper: requests run as a role without tables, and each statement in the organization in scope."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

from django.conf import settings
from django.db import NotSupportedError
from django.db.backends.postgresql import base, operations
from django.db.backends.utils import debug_transaction
from django.utils.module_loading import import_string
from psycopg.pq import TransactionStatus

from core.postgresql.direct import Direct
from core.scope import FINDING, IN_FORCE

NOBODY, EVERYBODY = "", "*"  # values of `app.org` that are no organization's id
_TELL = "SELECT set_config('app.org', %s, false)"
_TELL_DIRECTLY = (_TELL % "$1").encode()
# Only where all is installed: a role that is not bound, a missing look-up, or missing grants (as after a restore that
# left them out, until the next `migrate`) mean to go on as the login role.
_ASSUME = """
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE rolname = %s AND NOT rolsuper AND NOT rolbypassrls
    AND pg_has_role(session_user, oid, 'MEMBER') AND to_regproc(%s) IS NOT NULL
    AND has_table_privilege(oid, to_regclass('django_migrations'), 'SELECT')
"""


_Cursor: Any = base.ServerBindingCursor  # whose base the stubs take for psycopg 2's


class TenantCursor(_Cursor):  # type: ignore[misc]
    """Every statement passes here, whether it is Django's, a prepared one or written by hand."""

    def __init__(self, *args: Any, database: DatabaseWrapper, **options: Any) -> None:
        self.database = database
        super().__init__(*args, **options)

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if self.database.is_tenant and (organization := self.database.untold()) is not None:
            super().execute(_TELL, [organization])
            self.database.told = organization
            if self.database.force_debug_cursor:
                self.database.queries_log.append({"sql": _TELL % organization, "time": "0"})
        return super().execute(query, params, **options)

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        self.database.tell()
        super().executemany(query, params_seq, **options)


class DatabaseOperations(operations.DatabaseOperations):
    def deferrable_sql(self) -> str:
        """Foreign keys are checked at each statement, not at the commit.

        The last thing a change locks is its organization's audit log. A check at the commit would wait for rows of
        others after that, while they wait for the log: a deadlock.
        """
        return " DEFERRABLE INITIALLY IMMEDIATE"

    def execute_sql_flush(self, sql_list: Any) -> None:
        """Emptying tables, which `manage.py flush` and the suite do, is for their owner."""
        database: Any = self.connection
        with database.as_owner():
            super().execute_sql_flush(sql_list)


class DatabaseWrapper(base.DatabaseWrapper):
    """`told` is the organization that the session was told last, None when that is not known.

    `direct` runs the statements of requests, see core.prepared.
    """

    ops_class = DatabaseOperations

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.is_tenant = False
        self.told: str | None = None

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        return parameters | {"cursor_factory": functools.partial(TenantCursor, database=self)}

    def init_connection_state(self) -> None:
        self.is_tenant = False
        self.direct = Direct(self.connection)
        super().init_connection_state()
        self.assume_tenant()

    def _start_transaction_under_autocommit(self) -> None:
        """Begins a transaction, as Django does on SQLite: turning the driver's own off and on takes as long."""
        with self.wrap_database_errors:
            self.direct.command(b"BEGIN")

    def _set_autocommit(self, autocommit: bool) -> None:
        if not autocommit:
            raise NotSupportedError("a transaction begins with transaction.atomic(), not by turning autocommit off")
        if not self.connection.autocommit:
            super()._set_autocommit(autocommit)  # type: ignore[misc]

    def _commit(self) -> None:
        if self.connection is None:
            return
        if self.is_aborted():  # then it is a rollback
            self.told = None
        with debug_transaction(self, "COMMIT"), self.wrap_database_errors:
            self.direct.command(b"COMMIT")

    def rows(self, sql: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows of a statement of `core.prepared`, in the organization in scope."""
        if self.is_tenant and (organization := self.untold()) is not None:
            self.direct.rows(_TELL_DIRECTLY, [organization])
            self.told = organization
        return self.direct.rows(sql, values)

    def create_cursor(self, name: str | None = None) -> Any:
        if not name:
            return super().create_cursor()
        self.tell()  # the cursor is of the driver's own class
        # Within a transaction it ends with it. Django asks the driver, which knows of none.
        return self.connection.cursor(name, scrollable=False, withhold=not self.in_atomic_block)

    def _rollback(self) -> None:
        super()._rollback()  # type: ignore[misc]
        self.told = None

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        self.told = None

    def assume_tenant(self) -> None:
        """From here on the session has the tenants' role, where row level security is installed and wanted."""
        self.told = None
        if settings.ROW_SECURITY != "off":
            function = import_string(settings.TENANT_LOOKUP).function
            with self.connection.cursor() as cursor:
                assumed = cursor.execute(_ASSUME, [settings.TENANT_ROLE, function]).fetchone()
            self.is_tenant = assumed is not None

    def resume_owner(self) -> None:
        """From here on the session has the role it logged in with."""
        if self.is_tenant:
            self.is_tenant = False
            with self.connection.cursor() as cursor:
                cursor.execute("RESET ROLE")

    @contextlib.contextmanager
    def as_owner(self) -> Iterator[None]:
        """For what only the owner of a table may do to it."""
        self.ensure_connection()
        was_tenant = self.is_tenant
        self.resume_owner()
        try:
            yield
        finally:
            if was_tenant and self.is_aborted():
                self.is_tenant, self.told = True, None  # the rollback to come gives the role back
            elif was_tenant:
                self.assume_tenant()

    def untold(self) -> str | None:
        """The organization that the session must be told before its next statement; None when it knows."""
        scope = IN_FORCE.get()
        wanted = NOBODY if scope is None else str(scope.organization_id or EVERYBODY)
        return None if wanted in (self.told, FINDING) or self.is_aborted() else wanted

    def is_aborted(self) -> bool:
        """Whether an error ended the transaction, so that only its rollback is heard."""
        return bool(self.connection.pgconn.transaction_status == TransactionStatus.INERROR)

    def tell(self) -> None:
        """Tells the session what it does not know, in a statement of its own."""
        if self.is_tenant and self.untold() is not None:
            with self.connection.cursor() as cursor:
                cursor.execute("SELECT")  # the cursor itself does the telling
