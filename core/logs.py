"""Structured logs: one JSON object a line, with the request's id in every line."""

from __future__ import annotations

import functools
import logging
import sys
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from django.db import transaction

from core.activity import Activity

log = structlog.get_logger("synqmgr.activity")
request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the request being answered


def configure(level: str) -> None:
    """Sets structlog and the standard library's logging up to write JSON lines to standard error."""
    shared: list[Any] = [
        add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    logging.getLogger("django.request").setLevel(logging.CRITICAL)  # core.problems logs the same, with the request's id
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def add_request_id(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """The processor that names the request in every line written while it is answered."""
    if known := request_id.get():
        event["request_id"] = known
    return event


def record_activity(activity: Activity) -> None:
    """The recorder of changes: a log line each, once they are durable."""
    write = functools.partial(
        log.info,
        f"{activity.resource}.{activity.verb}",
        object_id=activity.object_id,
        token_id=activity.token_id,
        organization_id=activity.organization_id,
        outcome=activity.outcome,
    )
    transaction.on_commit(write)
