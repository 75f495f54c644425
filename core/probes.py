"""Probes: `/livez` says that the process answers, `/readyz` that it can do its work."""

from __future__ import annotations

import orjson
import structlog
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse

from core.crypto.keyring import KeyringError, get_keyring
from core.errors import UnavailableError

log = structlog.get_logger("synqmgr.probes")


def livez(request: HttpRequest) -> HttpResponse:
    """Touches nothing."""
    return HttpResponse(orjson.dumps({"status": "ok"}), content_type="application/json")


def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and has every migration, and the root keys are there."""
    try:
        get_keyring().health()
    except KeyringError as error:
        log.exception("keys_unavailable")
        raise UnavailableError("the root keys cannot be used: the log says why") from error
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise UnavailableError("the database lacks migrations: run `manage.py migrate`")
    return HttpResponse(orjson.dumps({"status": "ok"}), content_type="application/json")
