"""Counting calls of providers, for the status of integrations and for the bill."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
from collections.abc import Iterator
from typing import Any

import structlog
from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone
from prometheus_client import Counter

from core.columns import InstantColumn, column_at
from core.counters import count_in
from core.errors import InternalError, ProblemError
from core.outbound import Cost, metered
from core.prepared import Slot, Statement, prepared
from core.pruning import delete_old
from core.tenancy import current_scope
from integrations.billing.models import Usage
from integrations.models import Integration
from integrations.status.models import LONGEST_ERROR, Health, Status, StatusEvent, StatusHour

log = structlog.get_logger("synqmgr.status")
CALLS = Counter("synqmgr_provider_calls_total", "Calls of providers that were counted.", ["kind", "outcome"])
HOURS, HOUR = 24, dt.timedelta(hours=1)  # of a series
NOTHING = Cost()
_BATCH = 5_000
_PLACES = {"scope": "organization_id", "integration": "id"}
_BILLED = {
    "account_id": "account_id",
    "account_name": "account__name",
    "integration_name": "name",
    "environment": "account__environment",
    "category": "category",
    "organization_name": "organization__name",
    "above_id": "organization__parent_id",
}


class Kind(models.TextChoices):
    """Why a provider was called."""

    VERIFICATION = "verification"
    OPERATION = "operation"


@dataclasses.dataclass(slots=True)
class Call:
    """A call that is being made; its outcome is the problem it ended with, if with one."""

    outcome: ProblemError | None = None
    is_made: bool = True  # False when the provider was not asked after all: then nothing is counted


@contextlib.contextmanager
def counted_call(*, integration_id: str, kind: Kind) -> Iterator[Call]:
    """Measures the call made inside, and counts it when it is over. A problem raised is its outcome and goes on."""
    call = Call()
    cost = NOTHING
    try:
        with metered() as cost:
            yield call
    except ProblemError as error:
        call.outcome = error
        raise
    except Exception:
        call.outcome = InternalError("the call ended with a bug of this service")
        raise
    finally:
        if call.is_made:
            count_call(integration_id=integration_id, kind=kind, outcome=call.outcome, cost=cost)


def count_call(*, integration_id: str, kind: Kind, outcome: ProblemError | None = None, cost: Cost = NOTHING) -> None:
    """Counts one call of an integration's provider in the organization in scope, whoever's narrowing is in force.

    Inside a transaction it is part of it; call it outside of locks. It never fails what it counts: what cannot be
    written is logged, and an integration that is gone is not counted for.
    """
    CALLS.labels(kind, "failed" if outcome else "succeeded").inc()
    try:
        with transaction.atomic():
            _count(integration_id, outcome, cost)
    except DatabaseError as error:
        log.warning("call_not_counted", integration_id=integration_id, kind=kind, error=type(error).__name__)


def _count(integration_id: str, outcome: ProblemError | None, cost: Cost) -> None:
    now, failed = timezone.now(), int(outcome is not None)
    billed = _billed(integration_id)
    health = Health.FAILING if failed else Health.OK
    if billed is None or (numbers := _add_to_status(integration_id, health, cost, now)) is None:
        return
    request, recovered = numbers
    traffic = {"in_bytes": cost.in_bytes, "out_bytes": cost.out_bytes}
    calls = {"succeeded": 1 - failed, "failed": failed}
    hour = {"integration_id": integration_id, "hour": start_of_hour(now)}
    count_in(StatusHour, hour, add={**calls, **traffic, "cpu_time": cost.cpu_time})
    month = {"month": f"{now:%Y-%m}", "integration_id": integration_id}
    count_in(Usage, month, add={**calls, **traffic}, latest={**billed, "updated_at": now}, first={"created_at": now})
    if failed or recovered == request:
        StatusEvent.in_scope(
            integration_id=integration_id,
            account_id=billed["account_id"],
            created_at=now,
            status=health,
            error=outcome.message[:LONGEST_ERROR] if outcome else None,
            request=request,
        ).save(force_insert=True)


def _billed(integration_id: str) -> dict[str, Any] | None:
    """Whom a call is billed to, by the names of today; None when the integration is gone."""

    def build() -> models.QuerySet[Any, Any]:
        slots = {name: Slot(slot, column_at(Integration, name)) for slot, name in _PLACES.items()}
        return Integration._base_manager.filter(**slots).values_list(*_BILLED.values())

    statement = prepared((_billed, *_BILLED), build)
    found = statement.rows(scope=current_scope().organization_id, integration=integration_id)
    return dict(zip(_BILLED, found[0], strict=True)) if found else None


def _add_to_status(integration_id: str, health: Health, cost: Cost, now: dt.datetime) -> tuple[int, ...] | None:
    """The number of this request and of that by which the integration last recovered; None when it is gone."""
    moment = InstantColumn().get_db_prep_value(now, connection)
    added = [int(health is Health.FAILING), cost.cpu_time, cost.db_ops, cost.api_ops, cost.in_bytes, cost.out_bytes]
    found = _addition().run([*added, int(health is Health.OK), health.value, moment, moment, integration_id])
    return found[0] if found else None


@functools.cache
def _addition() -> Statement:
    """One statement for counting and for seeing the turn, which reading first would miss when two count at once."""
    sums = ", ".join(
        f"{name} = {name} + %s" for name in ("failed", "cpu_time", "db_ops", "api_ops", "in_bytes", "out_bytes")
    )
    sql = (
        f"UPDATE {Status._meta.db_table} SET requests = requests + 1, {sums}, "  # noqa: S608 - the model's names
        "recovered = CASE WHEN %s = 1 AND status = 'failing' THEN requests + 1 ELSE recovered END, status = %s, "
        "updated_at = CASE WHEN updated_at < %s THEN %s ELSE updated_at END "
        "WHERE integration_id = %s RETURNING requests, recovered"
    )
    return Statement(sql, sql.count("%s"))


def start_of_hour(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def create_status(*, integration: Integration) -> None:
    """The status of a new integration."""
    status = Status.in_scope(integration_id=integration.id, account_id=integration.account_id)
    status.created_at = integration.created_at
    status.save(force_insert=True)


def delete_status(*, integration: Integration) -> None:
    """Deletes the status first and the rest then: from the status on, nothing more is counted. The bill stays."""
    Status.objects.unnarrowed().filter(integration=integration).delete()
    StatusHour.objects.unnarrowed().filter(integration=integration).delete()
    StatusEvent.objects.unnarrowed().filter(integration=integration).delete()


def reset_status(*, status: Status) -> None:
    """Puts the counters back to nothing. Events, hours and the bill stay."""
    for name in ("requests", "failed", "cpu_time", "db_ops", "api_ops", "in_bytes", "out_bytes", "recovered"):
        setattr(status, name, 0)
    status.status = Health.UNKNOWN
    status.touch()
    status.save()


def hours_of_day(integration_id: str | None = None) -> dict[str, Any]:
    """The last 24 hours, the current one included, of one integration or of all in scope."""
    end = start_of_hour(timezone.now()) + HOUR
    start = end - HOURS * HOUR
    rows = StatusHour.objects.filter(hour__gte=start)
    if integration_id is not None:
        rows = rows.filter(integration_id=integration_id)
    sums = ("succeeded", "failed", "cpu_time", "in_bytes", "out_bytes")
    totals = {f"total_{name}": models.Sum(name) for name in sums}
    found = {row["hour"]: row for row in rows.values("hour").annotate(**totals)}
    empty: dict[str, int] = {}
    series = [
        {"created_at": moment} | {name: int(found.get(moment, empty).get(f"total_{name}", 0)) for name in sums}
        for moment in (start + n * HOUR for n in range(HOURS))
    ]
    return {"start_time": start, "end_time": end, "interval": "1h", "series": series}


def prune_events(*, before: dt.datetime) -> int:
    """Deletes the events before a time. Gives their number."""
    return delete_old(StatusEvent, created_at__lt=before)


def prune_hours(*, before: dt.datetime) -> int:
    """Deletes the hours that began before a time. Series need the last 24."""
    return delete_old(StatusHour, hour__lt=before)
