"""Rows that another session of the database has locked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from core.ledger.models import Run


@contextlib.contextmanager
def locked_elsewhere(run: Run) -> Iterator[None]:
    """While this lasts, another transaction has the run. What was made before must be committed."""
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite only one transaction writes")
    url = {k: v for k, v in connection.get_connection_params().items() if k in ("host", "port", "user", "dbname")}
    with psycopg.connect(**url) as other:
        other.execute("SELECT 1 FROM core_run WHERE id = %s FOR UPDATE", [run.id])
        yield
        other.rollback()
