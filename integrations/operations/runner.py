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
from catalog.adapters.registry import find_source
from catalog.errors import UnexpectedAnswerError
from catalog.mappings.evaluation import MappingFailedError
from core.errors import ConflictError, InternalError, OrganizationDisabledError, ProblemError
from core.ledger.services import Claim, Outcome
from integrations.configs import unmask_config
from integrations.drafts import draft_integration
from integrations.models import Integration
from integrations.operations.conclusion import Begun, conclude_execution, go_on, keep_progress
from integrations.operations.history import Progress
from integrations.operations.mapping import Transformation, find_transformation
from integrations.operations.models import Operation, OperationStatus
from integrations.operations.services import execution_of, objection_to
from integrations.operations.sinks import SINKS, find_sink
from integrations.schedules import is_full
from integrations.services import open_values
from integrations.status.services import Kind, counted_call
from organizations.models import Organization, is_blocked_now

MOST_RECORDS = 10_000  # that one attempt reads and maps
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
        if operation is None:
            return None
        is_disabled = operation.status == OperationStatus.DISABLED
        if is_disabled and execution_of(operation) != claimed.run_id:
            return None
        progress = Progress.of(operation, run_id=claimed.run_id, at=claimed.at)
        operation.progress = progress.kept
        operation.status = operation.status if is_disabled else OperationStatus.PROCESSING
        operation.save(update_fields=["progress", "status"])
    return Begun(claimed, operation, progress)


@dataclasses.dataclass(slots=True)
class Harvest:
    """What one attempt has come to, and after which page the next goes on; after none if that was all."""

    began: float
    page: str
    records: list[Record] = dataclasses.field(default_factory=list)
    size: int = 0
    interruption: ProblemError | None = None

    def take(self, page: Page, transformation: Transformation) -> bool:
        """Adds a page, its records transformed: all of them, or none if they are more than is left of the attempt."""
        taken, size = [], self.size
        for record in page.records:
            if self.is_used_up(size):
                return False
            taken.append(transformation.apply(record))
            size += len(orjson.dumps(taken[-1].data))
        self.records += taken
        self.size, self.page = size, page.following
        return True

    def is_used_up(self, size: int) -> bool:
        return size >= MOST_BYTES or time.monotonic() - self.began > MOST_SECONDS

    def is_full(self) -> bool:
        return len(self.records) >= MOST_RECORDS or self.is_used_up(self.size)


def carry_out(begun: Begun) -> Outcome:
    """One attempt: all is read before anything is written, so what goes wrong in reading leaves nothing behind."""
    operation = begun.operation
    try:
        source, query, sink = prepare(begun)
        transformation = find_transformation(integration=operation.integration, operation=operation.operation)
        harvest = read(source, query, begun.progress.page, transformation)
        if harvest.records:
            delivery = Delivery(sink.id, begun.claimed.run_id, operation.operation, harvest.records)
            SINKS[sink.provider_type].write(delivery)
    except ProblemError as problem:
        return again(begun, problem) or failed(begun, problem)
    begun.progress.count(harvest.records)
    begun.progress.page = harvest.page
    paused = again(begun, harvest.interruption) if harvest.interruption is not None else None
    return paused or Outcome("done", record=lambda: conclude_execution(begun))


def prepare(begun: Begun) -> tuple[Source, Query, Integration]:
    """What is asked of whom, and for whom; or the problem with it."""
    operation, schedule, integration = begun.operation, begun.progress.schedule, begun.operation.integration
    if is_blocked_now(Organization.objects.unnarrowed().get()):
        raise OrganizationDisabledError("the organization is disabled")
    if operation.status == OperationStatus.DISABLED:
        raise ConflictError(f"the operation was disabled meanwhile: {(operation.errors or [{}])[0].get('message')}")
    sink = find_sink(account_id=operation.account_id)
    if objection := objection_to(schedule, integration, sink):
        raise ConflictError(objection)
    draft = draft_integration(
        account=integration.account,
        config=integration.provider_config,
        point=integration.integration_point,
        integration=integration,
    ).through(integration.bridge_selector)
    source = find_source(draft.provider, draft.custom)
    assert source is not None and sink[0] is not None  # noqa: PT018 - there was no objection
    query = Query(
        operation=operation.operation,
        seed=integration.id,
        since=None if is_full(schedule) else begun.progress.since,
        until=begun.progress.until,
        now=begun.claimed.at,
        filters=tuple(schedule.get("filters") or ()),
        time_field=(schedule.get("incremental_config") or {}).get("time_filter_field") or "",
        patience=PATIENCE,
        config=unmask_config(draft.provider, draft.config, open_values(integration=integration)),
        secrets=draft.opened(),
        send=draft.sender(),
    )
    return source, query, sink[0]


def read(source: Source, query: Query, page: str, transformation: Transformation) -> Harvest:
    """As many pages as an attempt may take. What passes by itself ends it after those before, if there are any."""
    harvest = Harvest(time.monotonic(), page)
    while not harvest.is_full():
        try:
            answer = call(source, query, harvest.page)
            if answer.following and answer.following == harvest.page:
                raise UnexpectedAnswerError("the provider's next page is the one before: it would never end")
            is_taken = harvest.take(answer, transformation)
        except PASSING as problem:
            if harvest.page == page:
                raise
            harvest.interruption = problem
            return harvest
        if not is_taken and harvest.page == page:
            raise MappingFailedError(
                f"the mappings of the {len(answer.records):,} records of one page take more than {MOST_SECONDS:g} "
                f"seconds, or give more than {MOST_BYTES // 2**20} MiB, which is the most for one attempt"
            )
        if not is_taken or not harvest.page:
            return harvest
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
