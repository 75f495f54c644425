"""What a run of an operation does: it reads a window of time from the provider, page by page, and fills the sink.

An execution may take several attempts. Whatever an attempt has delivered is not read again: the page after which the
next goes on is recorded with the end of the attempt. A worker that dies leaves the execution where it began, and the
sink tells by execution and record what it has already.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time

import orjson
from django.db import transaction

from catalog.adapters.interface import PASSING, Delivery, Page, ProviderThrottledError, Query, Record, Source
from catalog.adapters.registry import source_of
from catalog.errors import UnexpectedAnswerError
from core.columns import format_instant
from core.errors import ConflictError, InternalError, OrganizationDisabledError, ProblemError
from core.ledger.services import Claim, Outcome
from integrations.configs import unmask_config
from integrations.drafts import draft_integration
from integrations.models import Integration
from integrations.operations.conclusion import Begun, conclude_execution, go_on, keep_progress
from integrations.operations.mapping import transform
from integrations.operations.models import Operation, OperationStatus
from integrations.operations.services import is_full, objection_to
from integrations.operations.sinks import SINKS, find_sink
from integrations.services import open_values
from integrations.status.services import Kind, counted_call
from organizations.models import Organization, is_blocked_now

MOST_RECORDS = 10_000  # that one attempt reads
MOST_BYTES = 32 * 1024 * 1024
MOST_SECONDS = 300.0
MOST_ATTEMPTS = 6  # of one execution, while the provider is too busy or too slow
PATIENCE = 15.0  # seconds that one answer may take
PAUSE, LONGEST_PAUSE = 30.0, 3600.0  # seconds before the next attempt; it grows


class OperationWork:
    """The ledger's kind of run."""

    def __call__(self, claimed: Claim) -> Outcome:
        begun = begin(claimed)
        if begun is None:
            return Outcome("done", record=lambda: go_on(claimed))
        return carry_out(begun)

    def give_up(self, claimed: Claim, error: str) -> Outcome:
        """What is left of an execution that nobody could carry out."""
        begun = begin(claimed)
        if begun is None:
            return Outcome("failed", error=error, record=lambda: go_on(claimed))
        return Outcome("failed", error=error, record=lambda: conclude_execution(begun, problem=InternalError(error)))


WORK = OperationWork()


def begin(claimed: Claim) -> Begun | None:
    """Notes that a worker has the operation in hand; None if there is nothing to do any more."""
    with transaction.atomic():
        found = Operation.objects.select_for_update(of=("self",)).select_related("integration")
        operation: Operation | None = found.filter(id=claimed.subject_id).first()
        if operation is None or operation.status == OperationStatus.DISABLED:
            return None
        progress = operation.progress or {}
        if progress.get("run_id") != claimed.run_id:
            page = progress.get("page", "")  # of a window that an execution before left open
            until = progress["until"] if page else format_instant(claimed.at)
            started_at = format_instant(claimed.at)
            progress = {"run_id": claimed.run_id, "started_at": started_at, "until": until, "first": page, "page": page}
        operation.progress, operation.status = progress, OperationStatus.PROCESSING
        operation.save(update_fields=["progress", "status"])
    return Begun(claimed, operation, progress)


@dataclasses.dataclass(slots=True)
class Harvest:
    """What one attempt has read, and after which page the next goes on; after none if that was all."""

    records: list[Record] = dataclasses.field(default_factory=list)
    size: int = 0
    page: str = ""
    interruption: ProblemError | None = None

    def take(self, page: Page) -> None:
        self.records += page.records
        self.size += sum(len(orjson.dumps(record.data)) for record in page.records)
        self.page = page.following

    def is_full(self, since: float) -> bool:
        too_long = time.monotonic() - since > MOST_SECONDS
        return len(self.records) >= MOST_RECORDS or self.size >= MOST_BYTES or too_long


def carry_out(begun: Begun) -> Outcome:
    """One attempt: all is read before anything is written, so what goes wrong in reading leaves nothing behind."""
    operation = begun.operation
    try:
        source, query, sink = prepare(begun)
        harvest = read(source, query, begun.page)
        records = transform(records=harvest.records, integration=operation.integration, operation=operation.operation)
        if records:
            SINKS[sink.provider_type].write(Delivery(sink.id, begun.claimed.run_id, operation.operation, records))
    except ProblemError as problem:
        return again(begun, problem) or failed(begun, problem)
    begun.count(records)
    begun.page = harvest.page
    if harvest.interruption is not None:
        return again(begun, harvest.interruption) or failed(begun, harvest.interruption)
    return Outcome("done", record=lambda: conclude_execution(begun))


def prepare(begun: Begun) -> tuple[Source, Query, Integration]:
    """What is asked of whom, and for whom; or the problem with it."""
    operation, integration = begun.operation, begun.operation.integration
    if is_blocked_now(Organization.objects.unnarrowed().get()):
        raise OrganizationDisabledError("the organization is disabled")
    sink = find_sink(account_id=operation.account_id)
    if objection := objection_to(operation.schedule, integration, sink):
        raise ConflictError(objection)
    draft = draft_integration(
        account=integration.account,
        config=integration.provider_config,
        point=integration.integration_point,
        integration=integration,
    )
    source = source_of(draft.provider)
    assert source is not None and sink[0] is not None  # noqa: PT018 - there was no objection
    incremental = operation.schedule.get("incremental_config") or {}
    query = Query(
        operation=operation.operation,
        seed=integration.id,
        since=None if is_full(operation.schedule) else operation.since,
        until=begun.until,
        now=begun.claimed.at,
        filters=tuple(operation.schedule.get("filters") or ()),
        time_field=incremental.get("time_filter_field") or "",
        patience=PATIENCE,
        config=unmask_config(draft.provider, draft.config, open_values(integration=integration)),
        secrets=draft.opened(),
    )
    return source, query, sink[0]


def read(source: Source, query: Query, page: str) -> Harvest:
    """As many pages as an attempt may take. A provider that wants a pause after some of them ends it there."""
    harvest, began = Harvest(page=page), time.monotonic()
    while True:
        try:
            answer = call(source, query, harvest.page)
        except PASSING as problem:
            if not harvest.records:
                raise
            harvest.interruption = problem
            return harvest
        if answer.following and answer.following == harvest.page:
            raise UnexpectedAnswerError("the provider's next page is the one before: it would never end")
        harvest.take(answer)
        if not harvest.page or harvest.is_full(began):
            return harvest


def call(source: Source, query: Query, page: str) -> Page:
    """One call of the provider, counted in the integration's status."""
    with counted_call(integration_id=query.seed, kind=Kind.OPERATION):
        return source.read(query, page)


def again(begun: Begun, problem: ProblemError) -> Outcome | None:
    """Another attempt after a pause, if the problem passes by itself and there were not too many."""
    if not isinstance(problem, PASSING) or begun.claimed.attempt >= MOST_ATTEMPTS:
        return None
    asked = problem.seconds if isinstance(problem, ProviderThrottledError) else None
    pause = min(asked if asked is not None else PAUSE * 2 ** (begun.claimed.attempt - 1), LONGEST_PAUSE)
    at = begun.now() + dt.timedelta(seconds=pause)
    return Outcome("again", at=at, error=problem.message, record=lambda: keep_progress(begun, problem=problem, at=at))


def failed(begun: Begun, problem: ProblemError) -> Outcome:
    """The end of an execution that came to nothing; the next one is not kept from its turn."""
    return Outcome("failed", error=problem.message, record=lambda: conclude_execution(begun, problem=problem))
