"""Proving the audit log: what somebody leaves behind who has the database, and what a working service does not."""

from __future__ import annotations

import datetime as dt
import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from core.tenancy import Scope, scoped
from events.audit import proof
from events.audit.models import AuditChain, AuditEvent
from events.audit.proof import prove
from events.audit.retention import prune_audit
from events.audit.services import End, prune_events
from tests.api import Api
from tests.objects import make_account

LATER = dt.timedelta(days=1)


@pytest.fixture
def chain(acme: Api) -> Api:
    for i in range(5):
        make_account(acme, name=f"a{i}")
    return acme


def break_of(api: Api) -> str | None:
    with scoped(api.scope):
        return prove().broken


def verify(*arguments: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


def what_verify_says(*arguments: str) -> str:
    """Of logs that are not all as they should be."""
    out = io.StringIO()
    with pytest.raises(CommandError, match="broken"):
        call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


# --- with the database alone ---------------------------------------------------------------------


def cut_tail() -> None:
    last = AuditEvent.objects.get(sequence=4)
    AuditEvent.objects.filter(sequence=5).delete()
    AuditChain.objects.update(sequence=4, digest=last.digest)


def cut_head() -> None:
    last = AuditEvent.objects.get(sequence=2)
    AuditEvent.objects.filter(sequence__lte=2).delete()
    AuditChain.objects.update(pruned_sequence=2, pruned_digest=last.digest)


def cut_everything() -> None:
    AuditEvent.objects.all().delete()
    AuditChain.objects.all().delete()


def start_again() -> None:
    cut_everything()
    AuditChain.in_scope().save(force_insert=True)


@pytest.mark.parametrize("tamper", [cut_tail, cut_head, cut_everything, start_again])
def test_log__cut_with_its_chain_made_to_fit__shows_it_for_good(chain: Api, tamper: Callable[[], None]) -> None:
    assert break_of(chain) is None
    with scoped(chain.scope):
        tamper()
    assert break_of(chain) is not None
    make_account(chain, name="after")
    assert break_of(chain) is not None
    make_account(chain, name="and-after-that")
    assert break_of(chain) is not None


@pytest.mark.parametrize("sequence", [1, 9])
def test_log__with_an_event_outside_its_chain__shows_it(chain: Api, sequence: int) -> None:
    with scoped(chain.scope):
        prune_events(before=AuditEvent.objects.get(sequence=3).created_at)
        AuditEvent.objects.filter(sequence=5).update(sequence=sequence)
        chain_row = AuditChain.objects.get()
        chain_row.sequence, chain_row.digest = 4, AuditEvent.objects.get(sequence=4).digest
        chain_row.mac = End.of(chain_row).mac(chain.id)
        chain_row.save()
    assert break_of(chain) == "there are events outside the chain"


def test_organization__without_any_change__has_a_chain_that_is_missed(acme: Api) -> None:
    assert break_of(acme) is None
    with scoped(acme.scope):
        AuditChain.objects.all().delete()
    assert break_of(acme) == "the chain was taken out"


def test_chain__of_another_organization__is_refused(chain: Api, globex: Api) -> None:
    with scoped(globex.scope):
        fresh = AuditChain.objects.values("sequence", "digest", "ended_at", "mac").get()
    with scoped(chain.scope):
        AuditEvent.objects.all().delete()
        AuditChain.objects.update(**fresh)
    assert break_of(chain) == "the row of the chain was changed"


def test_prune__log_whose_chain_was_changed__deletes_nothing_of_it(chain: Api) -> None:
    with scoped(chain.scope):
        cut_tail()
    assert prune_audit(before=timezone.now() + LATER) == 0
    with scoped(chain.scope):
        assert AuditEvent.objects.count() == 4
    assert break_of(chain) is not None


# --- while the service works ---------------------------------------------------------------------


def while_reading(meanwhile: Callable[[], Any]) -> Callable[..., Any]:
    """Does something once, before the second batch of events is read."""
    seen = 0

    def execute(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal seen
        if "events_auditevent" in sql and "LIMIT 2" in sql:
            seen += 1
            if seen == 2:
                meanwhile()
        return execute(sql, params, many, context)

    return execute


def test_verify__while_events_are_added_and_pruned__finds_no_break(chain: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_BATCH", 2)
    with scoped(chain.scope):
        fifth = AuditEvent.objects.get(sequence=5).created_at

    def prune() -> None:
        assert prune_audit(before=fifth) == 4

    for meanwhile in (lambda: make_account(chain), prune):
        with scoped(chain.scope), connection.execute_wrapper(while_reading(meanwhile)):
            found = prove()
        assert found.broken is None
    with scoped(chain.scope):
        assert AuditChain.objects.get().pruned_sequence == 4


def test_event__of_a_host_whose_clock_is_behind__comes_after_the_one_before(acme: Api) -> None:
    ahead = "2999-01-01T00:00:00.000000Z"
    with scoped(acme.scope):
        row = AuditChain.objects.get()
        row.ended_at = ahead
        row.mac = End.of(row).mac(acme.id)
        row.save()
    make_account(acme, name="one")
    make_account(acme, name="two")
    shown = acme.get("/v1/audit/organizations", query={"start_after": ahead}).json()["result"]
    assert [each["created_at"] for each in shown] == ["2999-01-01T00:00:00.000001Z", "2999-01-01T00:00:00.000002Z"]
    assert break_of(acme) is None


# --- against an end that was kept ----------------------------------------------------------------


@pytest.fixture
def kept(chain: Api, tmp_path: Path) -> str:
    path = tmp_path / "ends"
    path.write_text(verify())
    return str(path)


def test_verify_audit__against_a_kept_end__holds_while_the_log_goes_on(chain: Api, globex: Api, kept: str) -> None:
    assert verify("--expect", kept).count("  ok  ") == 2
    make_account(chain, name="after")
    with scoped(chain.scope):
        sixth = AuditEvent.objects.get(sequence=6).created_at
    assert f"{chain.id}  ok  6 " in verify("--expect", kept)
    prune_audit(before=sixth)
    assert f"{chain.id}  ok  7 " in verify("--expect", kept)


def test_verify_audit__older_copy_put_back__differs_from_the_kept_end(chain: Api, tmp_path: Path) -> None:
    with scoped(chain.scope):
        older = AuditChain.objects.values().get()
    make_account(chain, name="after")
    path = tmp_path / "ends"
    path.write_text(verify())
    with scoped(chain.scope):
        AuditEvent.objects.filter(sequence=6).delete()
        AuditChain.objects.update(**older)
    assert break_of(chain) is None  # alone, nothing shows it
    assert "ended at event 6 when that was kept, and ends at 5 now" in what_verify_says("--expect", str(path))
    make_account(chain, name="another")
    assert "event 6 is another than when it was the last" in what_verify_says("--expect", str(path))


def test_verify_audit__organization_that_is_gone__is_told(acme: Api, tmp_path: Path) -> None:
    acme.post("/v1/suborgs", {"name": "below"})
    path = tmp_path / "ends"
    path.write_text(verify())
    assert acme.delete("/v1/suborgs/below").status_code == 204
    assert "the organization is gone with its log" in what_verify_says("--expect", str(path))


@pytest.mark.parametrize("content", [None, b"\xff", b"what is this\n"])
def test_verify_audit__kept_ends_that_cannot_be_read__are_refused(
    db: None, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ends"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match="--expect"):
        verify("--expect", str(path))


def test_sub_organization__deleted__leaves_the_end_of_its_log_with_the_one_above(acme: Api) -> None:
    made = acme.post("/v1/suborgs", {"name": "below"}).json()["result"]
    below = Api(made["organization"]["id"], made["token"]["access"]["secret"])
    make_account(below, name="theirs")
    with scoped(below.scope):
        last = AuditEvent.objects.get()
    assert acme.delete("/v1/suborgs/below").status_code == 204
    with scoped(acme.scope):
        told = AuditEvent.objects.get(action="suborgs.delete")
    assert told.object_id == below.id
    assert told.response == f"its audit log ended at event 1 with the digest {bytes(last.digest).hex()}"


# --- logs from before ----------------------------------------------------------------------------


def test_migration__of_chains_without_a_keyed_hash__makes_them_hold(chain: Api, globex: Api) -> None:
    with scoped(chain.scope):
        AuditChain.objects.update(mac=b"", ended_at="")
        last = AuditEvent.objects.get(sequence=5).created_at
    with scoped(globex.scope):
        AuditChain.objects.all().delete()
    migration = importlib.import_module("events.migrations.0002_chains_carry_a_keyed_hash_of_themselves")
    with scoped(Scope(None)):
        migration.complete_chains(apps, None)
    assert [break_of(each) for each in (chain, globex)] == [None, None]
    make_account(chain, name="after")
    with scoped(chain.scope):
        assert AuditEvent.objects.get(sequence=6).created_at > last
