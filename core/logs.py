"""Structured logs: one JSON object a line, with the request's id in every line."""

from __future__ import annotations

import functools
import logging
import logging.config
import sys
from contextvars import ContextVar
from typing import Any

import orjson
import structlog
from django.db import transaction

from core.activity import Activity
from core.instants import now_text

log = structlog.get_logger("synqmgr.activity")
request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the request being answered


def configure(level: str) -> None:
    """Sets structlog and the standard library's logging up to write JSON lines to standard error."""
    logging.config.dictConfig(standard_logging(level))
    structlog.configure(
        processors=[*SHARED, structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )


def standard_logging(level: str) -> dict[str, Any]:
    """What the standard library's `dictConfig` takes, of ours and of the server's: all of it goes one way."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "core.logs.json_formatter"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": level.upper()},
        "loggers": {
            "django.request": {"level": "CRITICAL"},  # core.problems logs the same, with the request's id
            "_granian": {"handlers": [], "propagate": True},
        },
    }


def json_formatter() -> logging.Formatter:
    """Formats what others log as our own lines are, with the logger's name."""
    render = structlog.processors.JSONRenderer(serializer=as_text)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *SHARED],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
    )


def as_text(line: Any, **options: Any) -> str:
    return orjson.dumps(line, **options).decode()


def stamp(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    """The processor that gives every line its time, and the request while one is answered."""
    event["timestamp"] = now_text()
    if known := request_id.get():
        event["request_id"] = known
    return event


SHARED: list[Any] = [
    stamp,
    structlog.processors.add_log_level,
    structlog.processors.format_exc_info,
]


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
