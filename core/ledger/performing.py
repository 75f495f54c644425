"""Doing what was claimed, and recording how it ended."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection
from django.utils.module_loading import import_string
from prometheus_client import Counter, Histogram

from core.faults import reach
from core.ledger.services import MOST_LAPSES, Claim, LostClaimError, Outcome, conclude, conclude_all, give_back
from core.tenancy import Scope, scoped

log = structlog.get_logger("synqmgr.ledger")
RUNS = Counter("synqmgr_runs_total", "Runs that a claim ended.", ["kind", "outcome"])
DURATION = Histogram("synqmgr_run_duration_seconds", "Time that one attempt took, in seconds.", ["kind"])
PAUSE_AFTER_FAULT = 2.0  # seconds
RECORD_WITHIN = 45.0  # seconds to get an outcome recorded while the database does not answer
HAND_WITHIN = 0.5  # seconds after its claim in which the runs of one hand are begun

Work = Callable[[Claim], Outcome]


@functools.cache
def kinds() -> Mapping[str, Any]:
    """What does each kind of run: `settings.RUN_KINDS`. One that has `each_of` can do several of a lane in one go."""
    return {kind: import_string(path) for kind, path in settings.RUN_KINDS.items()}


def perform_hand(hand: Sequence[Claim]) -> None:
    """Does runs of one lane one after the other and records them together, as long as it goes well and not for long.

    What is left of them then is given back.
    """
    each_of: Callable[[Sequence[Claim]], Generator[Outcome]] | None = getattr(kinds()[hand[0].kind], "each_of", None)
    if len(hand) == 1 or each_of is None:
        for claimed in hand:
            perform(claimed)
        return
    ended: list[tuple[Claim, Outcome]] = []
    started = time.monotonic()
    reach("run-claimed")
    try:
        with scoped(Scope(hand[0].organization_id)), _closing(each_of(hand)) as outcomes:
            for claimed, outcome in zip(hand, outcomes, strict=False):
                reach("run-worked")
                ended.append((claimed, outcome))
                now = time.monotonic()
                DURATION.labels(claimed.kind).observe(now - started)
                started = now
                if now - hand[0].began > HAND_WITHIN:
                    break
    except Exception as error:  # noqa: BLE001 - the handlers log it
        ended.append((hand[len(ended)], _unforeseen(hand[len(ended)], error)))
    _record_hand(ended)
    if left := hand[len(ended) :]:
        give_back(left)


@contextlib.contextmanager
def _closing(outcomes: Generator[Outcome]) -> Iterator[Generator[Outcome]]:
    """Closes them at the end. An error of that alone is none of a run: what each came to is known by then."""
    try:
        yield outcomes
    finally:
        try:
            outcomes.close()
        except Exception:
            log.exception("hand_not_closed")


def _record_hand(ended: Sequence[tuple[Claim, Outcome]]) -> None:
    """What can be is recorded in one transaction; if that fails, all of it one by one."""
    alike = [(claimed, outcome) for claimed, outcome in ended if outcome.record_all is not None]
    try:
        if len(alike) > 1:
            conclude_all(concluded=alike, now=alike[-1][0].now())
            reach("run-concluded")
    except Exception as error:  # noqa: BLE001 - each of them tells what is wrong with it
        log.info("outcomes_recorded_one_by_one", error=type(error).__name__)
        alike = []
    together = {claimed.run_id for claimed, _ in alike} if len(alike) > 1 else set()
    for claimed, outcome in ended:
        state = outcome.state if claimed.run_id in together else _record_or_break(claimed, outcome)
        RUNS.labels(claimed.kind, state).inc()


def perform(claimed: Claim) -> str:
    """Does one claimed run and records how it ended, which it also returns."""
    started = time.perf_counter()
    reach("run-claimed")
    outcome = _work(claimed)
    reach("run-worked")
    ended = _record_or_break(claimed, outcome)
    RUNS.labels(claimed.kind, ended).inc()
    DURATION.labels(claimed.kind).observe(time.perf_counter() - started)
    return ended


def _work(claimed: Claim) -> Outcome:
    """What the run comes to. A kind's own errors are outcomes."""
    try:
        if claimed.lapses >= MOST_LAPSES:
            return _given_up(claimed, f"{claimed.lapses} attempts in a row came to no end")
        with scoped(Scope(claimed.organization_id)):
            outcome: Outcome = kinds()[claimed.kind](claimed)
            return outcome
    except Exception as error:  # noqa: BLE001 - the handlers log it
        return _unforeseen(claimed, error)


def _unforeseen(claimed: Claim, error: Exception) -> Outcome:
    """After an error that the kind did not foresee, which is being handled."""
    if isinstance(error, (OperationalError, InterfaceError)) and not connection.is_usable():
        return _put_off(claimed, error)
    return _broken(claimed)


def _put_off(claimed: Claim, error: Exception) -> Outcome:
    """After the connection to the database was lost, which says nothing about the work."""
    log.warning("run_put_off", run_id=claimed.run_id, error=first_line(error))
    close_old_connections()
    at = claimed.now() + dt.timedelta(seconds=PAUSE_AFTER_FAULT)
    return Outcome("again", at=at, error="the connection to the database was lost", is_attempt=False)


def _given_up(claimed: Claim, error: str) -> Outcome:
    """The end of a run that nobody could do. A kind with a `give_up` says what is recorded of it."""
    give_up: Callable[[Claim, str], Outcome] | None = getattr(kinds()[claimed.kind], "give_up", None)
    if give_up is None:
        return Outcome("failed", error=error)
    with scoped(Scope(claimed.organization_id)):
        return give_up(claimed, error)


def _broken(claimed: Claim) -> Outcome:
    """Tried again with growing pauses, a few times."""
    log.exception("run_broke", kind=claimed.kind, run_id=claimed.run_id, subject_id=claimed.subject_id)
    error, lapses = "the work broke off; the service's log has the reason", claimed.lapses + 1
    if lapses >= MOST_LAPSES:
        return _given_up(claimed, error)
    at = claimed.now() + dt.timedelta(seconds=10 * 4**claimed.lapses)
    return Outcome("again", at=at, error=error, lapses=lapses)


def _record_or_break(claimed: Claim, outcome: Outcome) -> str:
    try:
        return _record(claimed, outcome)
    except Exception:  # noqa: BLE001 - the handler logs it
        return _record(claimed, _broken(claimed))


def _record(claimed: Claim, outcome: Outcome) -> str:
    """Records what was done even if the database is away for a while: what was done is not to be done again."""
    until = time.monotonic() + RECORD_WITHIN
    while True:
        try:
            conclude(claim=claimed, outcome=outcome, now=claimed.now())
        except LostClaimError:
            return "lost"
        except (OperationalError, InterfaceError) as error:
            log.warning("outcome_not_recorded", run_id=claimed.run_id, error=first_line(error))
            if time.monotonic() > until:
                return "lost"  # the lease runs out, and another worker tries
            close_old_connections()
            time.sleep(0.5)
        else:
            reach("run-concluded")
            return outcome.state


def first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
