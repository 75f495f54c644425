"""Retention: what is too old is deleted by hand and by one of all workers, and nothing else is."""

from __future__ import annotations

import datetime as dt
import io

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils import timezone

from core import pruning
from core.columns import new_id
from core.idempotency.models import IdempotentRequest
from core.ledger.chores import AFTER_FAULT, DAILY, prune_daily, take_chore
from core.ledger.models import Chore, Run, RunState, Worker
from core.retention import read_retention
from core.tenancy import scoped, unscoped
from identity.sessions.models import LogonAttempt
from identity.sso.models import SsoAssertion
from tests.api import Api

TABLE = {"runs": ("core.ledger.services.prune_runs", 30), "audit": ("events.audit.retention.prune_audit", 0)}
NOW = timezone.now()
DAY = dt.timedelta(days=1)


def prune(*names: str) -> str:
    out = io.StringIO()
    call_command("prune", *names, stdout=out)
    return out.getvalue()


def run_of(api: Api, *, finished_at: dt.datetime | None) -> str:
    with scoped(api.scope):
        run = Run.in_scope(kind="example", subject_id=new_id(), finished_at=finished_at, due_at=None)
        run.state = RunState.DONE if finished_at else RunState.WAITING
        run.save(force_insert=True)
    return run.id


def left(model: type[Run] | type[IdempotentRequest] | type[SsoAssertion]) -> set[str]:
    with unscoped("a test"):
        return {str(pk) for pk in model.objects.values_list("pk", flat=True)}


def test_retention__changed__keeps_the_other_rows() -> None:
    rules = read_retention(TABLE, "audit=3650, runs=off")
    assert {name: rule.days for name, rule in rules.items()} == {"audit": 3650, "runs": 0}
    assert [rule.days for rule in read_retention(TABLE).values()] == [30, 0]


@pytest.mark.parametrize(
    "changes", ["runs", "runs=", "runs=0", "runs=-1", "other=3", "runs=1 day", "off", "runs=100000"]
)
def test_retention__unreadable_change__is_refused_and_named(changes: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"SYNQMGR_RETENTION: .* with a name of runs, audit"):
        read_retention(TABLE, changes)


def test_prune__every_name__deletes_what_is_older_of_every_organization(acme: Api, globex: Api) -> None:
    kept = {run_of(api, finished_at=at) for api in (acme, globex) for at in (NOW - 29 * DAY, None)}
    for api in (acme, globex):
        run_of(api, finished_at=NOW - 31 * DAY)
        for days, name in ((2, "old"), (0, "new")):
            at = NOW - days * DAY
            with scoped(api.scope):
                IdempotentRequest.in_scope(
                    token_id=new_id(), key=name, fingerprint=b"1", claimed_at=at
                ).save(force_insert=True)  # fmt: skip
                SsoAssertion.in_scope(assertion_hash=f"{name}{api.id}", expires=at).save(force_insert=True)
    for days in (2, 0):
        at = NOW - days * DAY
        Worker(host="here", process_id=1, started_at=at, seen_at=at).save()
        LogonAttempt(key=bytes([days]), failures=1, last_at=int(at.timestamp()), blocked_until=0).save()
    said = prune()
    assert [line.split()[0] for line in said.splitlines()] == list(settings.RETENTION)
    assert "runs                 kept 30 days       2 deleted" in said
    assert "audit                kept for ever      0 deleted" in said
    assert left(Run) == kept
    assert {len(left(IdempotentRequest)), len(left(SsoAssertion))} == {2}
    assert Worker.objects.get().seen_at == NOW
    assert LogonAttempt.objects.count() == 1


def test_prune__more_than_a_batch__deletes_all(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 3)
    for _ in range(7):
        run_of(acme, finished_at=NOW - 40 * DAY)
    assert "7 deleted" in prune("runs")


def test_prune__some_names__does_those_alone_and_refuses_unknown_ones(acme: Api) -> None:
    run_of(acme, finished_at=NOW - 40 * DAY)
    assert prune("workers") == "workers              kept 1 day         0 deleted\n"
    assert len(left(Run)) == 1
    with pytest.raises(CommandError, match="nothing named runz"):
        prune("runz")


def fail(*, before: dt.datetime) -> int:
    """A rule whose table cannot be reached."""
    raise DatabaseError("no such table: example")


def test_prune__one_that_fails__leaves_the_others_their_turn(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        settings, "RETENTION", read_retention({"broken": (f"{__name__}.fail", 1), "runs": TABLE["runs"]})
    )
    run_of(acme, finished_at=NOW - 40 * DAY)
    with pytest.raises(CommandError, match="broken failed"):
        prune()
    assert left(Run) == set()
    run_of(acme, finished_at=NOW - 40 * DAY)
    assert prune_daily(NOW)
    assert left(Run) == set()
    assert Chore.objects.get().due_at == NOW + AFTER_FAULT


def test_chore__of_many_who_ask__is_one_ones_and_comes_back(db: None) -> None:
    def ask(now: dt.datetime) -> list[bool]:
        return [take_chore("example", every=DAILY, now=now) for _ in range(3)]

    assert ask(NOW) == [True, False, False]
    assert ask(NOW + DAILY / 2) == [False, False, False]
    assert ask(NOW + DAILY) == [True, False, False]


def test_prune__daily__is_done_once_a_day(acme: Api) -> None:
    run_of(acme, finished_at=NOW - 40 * DAY)
    assert prune_daily(NOW)
    assert left(Run) == set()
    run_of(acme, finished_at=NOW - 40 * DAY)
    assert not prune_daily(NOW + DAY / 2)
    assert len(left(Run)) == 1
    assert prune_daily(NOW + DAY)
