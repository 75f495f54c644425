"""The audit log for whoever runs the service: proved, exported, cut off."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import datetime as dt
import io
import re
from typing import Any

import orjson
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone
from synqly.management.audit import ListAuditEventsResponse

from core.retention import read_retention
from core.tenancy import scoped
from events.audit import export, services
from events.audit.models import AuditChain, AuditEvent
from events.audit.proof import prove
from events.audit.retention import prune_audit
from tests.api import Api
from tests.client.strict import refuse_different

LONG_AGO = dt.timedelta(days=400)


def make_accounts(api: Api, *names: str) -> None:
    for name in names:
        assert api.post("/v1/accounts", {"name": name}).status_code == 200


def events(api: Api) -> list[AuditEvent]:
    with scoped(api.scope):
        return list(AuditEvent.objects.order_by("sequence"))


def age(api: Api, count: int) -> None:
    """Makes the first events old, and their chain whole again."""
    with scoped(api.scope):
        digest, chain = b"", AuditChain.objects.get()
        for event in AuditEvent.objects.order_by("sequence"):
            if event.sequence <= count:
                event.created_at -= LONG_AGO
            event.digest = services.digest_of(event, digest)
            event.save()
            digest = event.digest
        chain.digest = digest
        chain.mac = services.End.of(chain).mac(api.id)
        chain.save()


def verify(*arguments: str) -> str:
    out = io.StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


def exported(capsysbinary: pytest.CaptureFixture[bytes], *arguments: str) -> list[dict[str, Any]]:
    call_command("export_audit", *arguments)
    return [orjson.loads(line) for line in capsysbinary.readouterr().out.splitlines()]


# --- pruning -------------------------------------------------------------------------------------


def test_prune__audit__is_told_in_the_log_whose_chain_holds(acme: Api, globex: Api) -> None:
    for api in (acme, globex):
        make_accounts(api, "one", "two", "three")
    total = len(events(acme))
    age(acme, 2)
    assert prune_audit(before=timezone.now() - LONG_AGO / 2) == 2
    kept = events(acme)
    assert [event.sequence for event in kept] == list(range(3, total + 2))
    told = kept[-1]
    assert (told.action, told.object_id, told.status, told.path) == ("audit.prune", acme.id, "done", "")
    assert told.response is not None
    assert told.response.startswith("2 events before ")
    answer = acme.get("/v1/audit/organizations", query={"filter": "action[eq]audit.prune"})
    assert answer.json()["result"][0]["method"] == "POST"
    refuse_different(answer.json(), ListAuditEventsResponse)
    assert "ok" in verify("--organization", acme.id)
    assert [event.action for event in events(globex) if event.action == "audit.prune"] == []
    assert prune_audit(before=timezone.now() - LONG_AGO / 2) == 0
    make_accounts(acme, "four")
    assert verify().count("ok") == 2


def test_prune__audit_in_portions__tells_each(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    make_accounts(acme, *(f"a-{number}" for number in range(6)))
    age(acme, 5)
    monkeypatch.setattr(services.prune_events, "__kwdefaults__", {"most": 2})
    assert prune_audit(before=timezone.now() - LONG_AGO / 2) == 5
    said = [event.response or "" for event in events(acme) if event.action == "audit.prune"]
    assert [text.split()[0] for text in said] == ["2", "2", "1"]
    with scoped(acme.scope):
        assert prove().broken is None


def test_prune__audit_by_the_settings__is_kept_for_ever_until_they_say_else(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_accounts(acme, "one")
    age(acme, 1)
    call_command("prune", stdout=io.StringIO())
    assert events(acme)[0].sequence == 1
    table = {"audit": (settings.RETENTION["audit"].path, 0)}
    monkeypatch.setattr(settings, "RETENTION", read_retention(table, "audit=365"))
    call_command("prune", stdout=io.StringIO())
    assert events(acme)[0].sequence == 2


# --- proving -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tamper, place",
    [
        (lambda: AuditEvent.objects.filter(sequence=2).update(remote_addr="203.0.113.9"), "event 2 .* was changed"),
        (lambda: AuditEvent.objects.filter(sequence=2).delete(), "event 2 is missing"),
        (lambda: AuditEvent.objects.filter(sequence__gte=3).delete(), "the chain ends at event"),
        (lambda: AuditChain.objects.all().delete(), "the chain was taken out"),
    ],
)
def test_verify_audit__log_that_was_changed__says_where(acme: Api, globex: Api, tamper: Any, place: str) -> None:
    for api in (acme, globex):
        make_accounts(api, "one", "two", "three")
    ends = {api.id: f"{api.id}  ok  3 {bytes(events(api)[-1].digest).hex()}\n" for api in (acme, globex)}
    assert verify() == "".join(ends[each] for each in sorted(ends))
    with scoped(acme.scope):
        tamper()
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 audit log is broken"):
        call_command("verify_audit", stdout=out)
    assert re.search(f"{acme.id}  broken: .*{place}", out.getvalue())
    assert f"{globex.id}  ok" in out.getvalue()
    assert verify("--organization", "globex") == ends[globex.id]


def test_verify_audit__unknown_organization__is_refused(db: None) -> None:
    with pytest.raises(CommandError, match="no organization 'nowhere'"):
        verify("--organization", "nowhere")


# --- exporting -----------------------------------------------------------------------------------


def test_export_audit__organization__gives_its_events_in_order(
    acme: Api, globex: Api, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BATCH", 2)
    make_accounts(acme, "one", "two", "three")
    make_accounts(globex, "theirs")
    lines = exported(capsysbinary, "--organization", "acme")
    rows = events(acme)
    assert [(line["sequence"], line["id"]) for line in lines] == [(row.sequence, row.id) for row in rows]
    assert [line["digest"] for line in lines] == [bytes(row.digest).hex() for row in rows]
    assert {line["organization_id"] for line in lines} == {acme.id}
    (made,) = [line for line in lines if line["body"] == {"name": "two"}]
    assert (made["action"], made["method"], made["path"]) == ("accounts.create", "POST", "/v1/accounts")
    since = made["created_at"]
    assert exported(capsysbinary, "--organization", acme.id, "--since", since) == lines[lines.index(made) :]


@pytest.mark.parametrize(
    "arguments, said",
    [(["nowhere"], "no organization 'nowhere'"), (["acme", "--since", "yesterday"], "'yesterday' is not a time")],
)
def test_export_audit__what_cannot_be_read__is_refused(acme: Api, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("export_audit", "--organization", *arguments)
