"""The keys under the root key: one per organization and generation, and the installation's own.

An organization's keys are made, read and destroyed in its scope: row level security holds for them.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterator

from django.db import connection, transaction
from django.db.models import Max, QuerySet

from core.columns import is_id
from core.crypto.keyring import Wrapped, get_keyring
from core.crypto.models import OrganizationKey, SystemKey, WrappedKey
from core.crypto.primitives import KEY_SIZE
from core.prepared import Statement
from core.tenancy import unscoped

_ROW = (
    "SELECT generation, root_version, wrapped FROM core_organizationkey WHERE organization_id = %s AND generation = %s"
)
_NEWEST_ROW = (
    "SELECT generation, root_version, wrapped FROM core_organizationkey "
    "WHERE organization_id = %s ORDER BY generation DESC LIMIT 1"
)
TABLES: tuple[type[OrganizationKey] | type[SystemKey], ...] = (OrganizationKey, SystemKey)


class NoKeyError(Exception):
    """The organization has no such key: it was shredded, or never made."""


@dataclasses.dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key ready for use."""

    generation: int
    secret: bytes = dataclasses.field(repr=False)


def create_organization_key(*, organization_id: str) -> None:
    """Give a new organization its first key. One that has it keeps it."""
    _insert(OrganizationKey(organization_id=organization_id, generation=1))


def organization_key(*, organization_id: str, generation: int | None = None) -> OpenedKey:
    """The organization's key of a generation, else of the newest.

    Read from its row every time: a key kept in memory would outlive its shredding in another process.
    """
    row = _read_row(organization_id, generation)
    if row is None:
        raise NoKeyError("the organization has no such key")
    return OpenedKey(row.generation, open_row(row))


def rotate_organization_key(*, organization_id: str) -> int:
    """Add a generation, which all new sealing uses; the older ones stay readable. Returns its number."""
    with transaction.atomic():
        newest = _lock_rows(organization_id)
        if newest is None:
            raise NoKeyError("the organization has no key to rotate")
        _insert(OrganizationKey(organization_id=organization_id, generation=newest + 1))
    return newest + 1


def shred_organization(*, organization_id: str) -> int:
    """Destroy every generation: what was sealed for the organization opens nowhere any more."""
    with transaction.atomic():
        _lock_rows(organization_id)
        deleted, _ = _rows_of(organization_id).delete()
    return deleted


def system_key(*, purpose: str) -> OpenedKey:
    """The installation's key for a purpose, made at first need. Of two makers at once the first wins."""
    rows = SystemKey.objects.filter(purpose=purpose, generation=1)
    row = rows.first()
    if row is None:
        _insert(SystemKey(purpose=purpose, generation=1))
        row = rows.get()
    return OpenedKey(row.generation, open_row(row))


def rewrap_all(*, batch: int = 500) -> dict[str, int]:
    """Move every row of an older root version to the current one; returns the rows moved by table.

    Safe while servers run, and resumable: each batch is a transaction of its own, and a row changes only
    if it is still of the version that was read.
    """
    with unscoped("a root key wraps the keys of every organization"):
        return {model._meta.db_table: sum(_rewrap_batches(model, batch)) for model in TABLES}


def open_row(row: WrappedKey) -> bytes:
    return get_keyring().unwrap(Wrapped(row.root_version, bytes(row.wrapped)), row.context())


def _insert(row: WrappedKey) -> None:
    row.root_version, row.wrapped = get_keyring().wrap(os.urandom(KEY_SIZE), row.context())
    # A conflict is no error here, and must not break the transaction around.
    type(row)._default_manager.bulk_create([row], ignore_conflicts=True)


def _read_row(organization_id: str, generation: int | None) -> OrganizationKey | None:
    """A prepared statement, since this runs for every secret used: the ORM takes ten times as long for the same."""
    if not is_id(organization_id):
        return None
    if generation is None:
        rows = _statement(_NEWEST_ROW, 1).run([organization_id])
    else:
        rows = _statement(_ROW, 2).run([organization_id, generation])
    if not rows:
        return None
    names = ("generation", "root_version", "wrapped")
    return OrganizationKey(organization_id=organization_id, **dict(zip(names, rows[0], strict=True)))


@functools.cache
def _statement(sql: str, places: int) -> Statement:
    return Statement(sql, places)


def _rows_of(organization_id: str) -> QuerySet[OrganizationKey]:
    """The organization's keys; none for what is no id, which PostgreSQL would answer with an error."""
    rows = OrganizationKey.objects.all()
    return rows.filter(organization_id=organization_id) if is_id(organization_id) else rows.none()


def _lock_rows(organization_id: str) -> int | None:
    """Lock the organization's rows and return its newest generation.

    The second query matters: it sees a generation that was committed while the first one waited.
    """
    rows = _rows_of(organization_id)
    list(rows.select_for_update().order_by("id").values_list("id"))
    newest: int | None = rows.aggregate(newest=Max("generation"))["newest"]
    return newest


def _rewrap_batches(model: type[WrappedKey], batch: int) -> Iterator[int]:
    """Rewrap batch by batch in the order of ids; yields how many rows each batch moved."""
    last = 0
    while True:
        with transaction.atomic(durable=True):
            older = model._default_manager.filter(root_version__lt=get_keyring().current_version())
            rows = list(older.filter(pk__gt=last).order_by("pk")[:batch])
            moved = _rewrap(model, rows) if rows else 0
        if not rows and last == 0:
            return
        # After the last row from the start again: a slow transaction may have added a row behind.
        last = rows[-1].pk if rows else 0
        yield moved


def _rewrap(model: type[WrappedKey], rows: list[WrappedKey]) -> int:
    keyring = get_keyring()
    changes = [(*keyring.wrap(open_row(row), row.context()), row.pk, row.root_version) for row in rows]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        # The ORM has no conditional update of many rows with a value each.
        cursor.executemany(
            f"UPDATE {table} SET root_version = %s, wrapped = %s WHERE id = %s AND root_version = %s",  # noqa: S608
            changes,
        )
        moved: int = cursor.rowcount
    return moved
