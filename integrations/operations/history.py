"""The history of executions, and what is known of one that has not come to its end."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

import orjson

from catalog.adapters.interface import Record
from core.errors import ProblemError
from core.instants import format_instant, read_instant
from integrations.operations.models import Execution, Operation, OperationStatus, OperationTriggerType
from integrations.schedules import is_full

LONGEST_CURSOR = 1024


@dataclasses.dataclass(slots=True)
class Progress:
    """What is known of an execution that has begun. Its operation keeps it from one attempt to the next.

    An execution ends as it began: by the schedule, and from the time, that its operation had then.
    """

    kept: dict[str, Any]

    @classmethod
    def of(cls, operation: Operation, *, run_id: str, at: dt.datetime) -> Progress:
        """What attempts before this one have come to; else a beginning, in the window that is open if there is one."""
        known, now = operation.progress or {}, format_instant(at)
        page = known.get("page", "")
        beginning = {
            "run_id": run_id,
            "started_at": now,
            "schedule": operation.schedule,
            "revision": operation.revision,
            "since": format_instant(operation.since) if operation.since else "",
            "until": known["until"] if page else now,
            "first": page,
            "page": page,
        }
        return cls(beginning | known if known.get("run_id") == run_id else beginning)

    @property
    def run_id(self) -> str:
        return str(self.kept["run_id"])

    @property
    def schedule(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kept["schedule"]
        return found

    @property
    def revision(self) -> int:
        return int(self.kept["revision"])

    @property
    def page(self) -> str:
        return str(self.kept["page"])

    @page.setter
    def page(self, page: str) -> None:
        self.kept["page"] = page

    @property
    def started_at(self) -> dt.datetime:
        return _instant(self.kept["started_at"])

    @property
    def since(self) -> dt.datetime | None:
        return _instant(self.kept["since"]) if self.kept["since"] else None

    @property
    def until(self) -> dt.datetime:
        return _instant(self.kept["until"])

    @property
    def cpu_time(self) -> int:
        return int(self.kept.get("cpu", 0))

    @property
    def in_bytes(self) -> int:
        return int(self.kept.get("bytes", 0))

    def count(self, records: Sequence[Record]) -> None:
        """Adds what the sink was given."""
        self._add("records", len(records))
        self._add("bytes", sum(len(orjson.dumps(record.data)) for record in records))
        times = [format_instant(record.time) for record in records if record.time is not None]
        self.kept["newest"] = max([self.kept.get("newest", ""), *times])

    def count_cpu(self, microseconds: int) -> None:
        self._add("cpu", microseconds)

    def _add(self, name: str, number: int) -> None:
        self.kept[name] = self.kept.get(name, 0) + number


def reached(progress: Progress, since: dt.datetime | None) -> dt.datetime:
    """Up to which time all was read; never back, whatever the clock does."""
    return max(since or progress.until, progress.until)


def write_execution(
    operation: Operation, progress: Progress, *, ended: dt.datetime, problem: ProblemError | None
) -> None:
    """The history's row."""
    full, newest = is_full(progress.schedule), progress.kept.get("newest")
    is_open = problem is not None or bool(progress.page)
    final = _cursor(progress, progress.page) if is_open else format_instant(reached(progress, progress.since))
    execution: Execution = Execution.in_scope(
        id=progress.run_id,
        operation_id=operation.id,
        account_id=operation.account_id,
        integration_id=operation.integration_id,
        integration_point_id=operation.integration_point_id,
        category=operation.category,
        operation=operation.operation,
        trigger_type=OperationTriggerType.SCHEDULED,
        trigger_source=operation.integration_point_id or operation.integration_id,
        status=OperationStatus.CANCELLED if problem else OperationStatus.COMPLETE,
        started_at=progress.started_at,
        completed_at=ended,
        duration=(ended - progress.started_at) // dt.timedelta(microseconds=1),
        records_processed=progress.kept.get("records", 0),
        cpu_time=progress.cpu_time,
        in_bytes=progress.in_bytes,
        initial_cursor=None if full else _cursor(progress, progress.kept["first"]),
        final_cursor=None if full else final,
        cursor_advanced_to=None if full or not newest else _instant(newest),
        error=problem.message[:1024] if problem else None,
    )
    execution.save(force_insert=True)


def _cursor(progress: Progress, page: str) -> str:
    """Where reading stands, in words: the time up to which all was read, and the page after which it goes on."""
    since = str(progress.kept["since"])
    return f"{since},{page}"[:LONGEST_CURSOR] if page else since


def _instant(text: str) -> dt.datetime:
    found = read_instant(text)
    assert found is not None
    return found
