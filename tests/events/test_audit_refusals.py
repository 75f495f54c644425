"""Refused changes in the audit log: what they are about, and whose they are when nobody was let in."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from core.tenancy import scoped
from events.audit.models import AuditEvent
from identity.permissionsets.sets import Permissions
from identity.tokens.models import TokenSecret
from tests.api import Api
from tests.events.receiver import WEBHOOKS, make_webhook
from tests.objects import make_account, make_credential, make_integration, make_token, ok

NEAR, FAR = "203.0.113.7", "198.51.100.9"


def refusals(api: Api, **query: Any) -> list[AuditEvent]:
    with scoped(api.scope):
        return list(AuditEvent.objects.exclude(status="done").order_by("sequence"))


def shown(api: Api, about: str) -> list[str]:
    """The outcomes of what is told about an account."""
    return [e["status"] for e in ok(api.get("/v1/audit/organizations", query={"filter": f"account_id[eq]{about}"}))]


# --- what they are about -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "body", "status"),
    [
        ("PUT /v1/accounts/north", b"{", "malformed-body"),
        ("PUT /v1/accounts/north", {"name": "Not A Name"}, "invalid-request"),
        ("PATCH /v1/accounts/north", [{"op": "test", "path": "/name", "value": "x"}], "patch-test-failed"),
        ("PUT /v1/integrations/north/sink", {}, "invalid-request"),
        ("POST /v1/integrations/north", {}, "invalid-request"),
        ("DELETE /v1/integrations/north/nowhere", None, "not-found"),
        ("POST /v1/integrations/north/verify", {}, "invalid-request"),
        ("POST /v1/tokens/north/sink", {"token_ttl": "soon"}, "invalid-request"),
        ("POST /v1/credentials/north", {}, "invalid-request"),
        ("POST /v1/credentials/sink", {}, "invalid-request"),
        ("PUT /v1/credentials/north/key", {}, "invalid-request"),
        ("POST /v1/bridges/north", {"name": "Not A Name"}, "invalid-request"),
    ],
)
def test_refusal__of_a_change_below_an_account__is_about_that_account(
    acme: Api, line: str, body: Any, status: str
) -> None:
    account = make_account(acme, name="north", environment="test")
    make_integration(acme, account["id"], name="sink")
    make_credential(acme, account["id"], name="key")
    make_account(acme, name="south")
    before = len(shown(acme, account["id"]))
    method, path = line.split()
    content_type = "application/json-patch+json" if method == "PATCH" else "application/json"
    acme.request(method, path, body, content_type=content_type)
    assert shown(acme, account["id"])[before:] == [status]
    (event,) = refusals(acme)
    assert event.environment == "test"


def test_refusal__for_want_of_a_grant__is_about_the_object_of_the_address(acme: Api, reader: Api) -> None:
    account = make_account(acme, name="north")
    integration = make_integration(acme, account["id"], name="sink")
    assert reader.delete("/v1/integrations/north/sink").status_code == 403
    (event,) = refusals(acme)
    assert (event.object_id, event.integration_id) == (integration["id"], integration["id"])
    assert (event.account_id, event.category) == (account["id"], integration["category"])


@pytest.mark.parametrize("verb", ["enable", "disable", "test", "recover"])
def test_refusal__of_a_verb_of_a_webhook__is_about_that_webhook(verb: str, acme: Api, reader: Api) -> None:
    webhook = make_webhook(acme, "https://hooks.example/in")
    assert reader.post(f"{WEBHOOKS}/{webhook['id']}/{verb}").status_code == 403
    assert acme.post(f"{WEBHOOKS}/{webhook['id']}/{verb}?surprise=1").status_code == 400
    assert acme.post(f"{WEBHOOKS}/nowhere/{verb}", {"since": "2026-01-01T00:00:00Z"}).status_code == 404
    told = [(event.action, event.object_id, event.status) for event in refusals(acme)]
    assert told == [
        ("webhooks.update", webhook["id"], "forbidden"),
        ("webhooks.update", webhook["id"], "invalid-request"),
        ("webhooks.update", None, "not-found"),
    ]


def test_refusal__about_ones_own_account__is_seen_by_a_token_for_that(acme: Api) -> None:
    mine, other = make_account(acme, name="mine"), make_account(acme, name="other")
    narrowed = acme.issue(Permissions.VIEWER, resources={"accounts": {"ids": [mine["id"]]}})
    for name in ("mine", "other"):
        assert acme.post(f"/v1/integrations/{name}", {}).status_code == 400
    assert shown(narrowed, mine["id"]) == ["done", "invalid-request"]
    assert shown(narrowed, other["id"]) == []


def test_verification__of_an_integration__is_about_it(acme: Api) -> None:
    account = make_account(acme, name="north")
    integration = make_integration(acme, account["id"], name="sink")
    assert acme.post("/v1/integrations/north/sink/verify").status_code == 200
    with scoped(acme.scope):
        event = AuditEvent.objects.order_by("sequence").last()
    assert event is not None
    assert (event.action, event.account_id, event.integration_id) == (
        "integrations.verify", account["id"], integration["id"],
    )  # fmt: skip


# --- from whom nobody was let in -----------------------------------------------------------------


def send_from(address: str, api: Api, method: str, path: str) -> int:
    client = Client(headers={"Authorization": f"Bearer {api.token}"})
    return int(client.generic(method, path, REMOTE_ADDR=address).status_code)


def test_token__used_from_a_wrong_network__is_told_of_a_change_only(acme: Api) -> None:
    account = make_account(acme, name="north")
    made, caller = make_token(acme, allowed_networks=[f"{NEAR}/32"])
    assert send_from(FAR, caller, "GET", "/v1/accounts") == 401
    assert refusals(acme) == []
    assert send_from(FAR, caller, "DELETE", "/v1/accounts/north") == 401
    (event,) = refusals(acme)
    assert (event.action, event.code, event.status) == ("accounts.delete", "401", "unauthenticated")
    assert (event.token_id, event.remote_addr, event.account_id) == (made["id"], FAR, account["id"])


def test_token__expired__is_told(acme: Api) -> None:
    made, caller = make_token(acme)
    with scoped(acme.scope):
        TokenSecret.objects.filter(token_id=made["id"]).update(expires=dt.datetime.now(dt.UTC))
    assert caller.post("/v1/accounts", {"name": "north"}).status_code == 401
    assert [(e.action, e.token_id, e.body) for e in refusals(acme)] == [("accounts.create", made["id"], None)]


def test_token__of_a_disabled_organization__is_told(acme: Api) -> None:
    call_command("set_organization_state", "acme", "disabled", stdout=io.StringIO())
    assert acme.post("/v1/accounts", {"name": "north"}).status_code == 402
    assert [(e.code, e.token_id) for e in refusals(acme)] == [("402", acme.token_id)]


def test_token__with_another_secret__is_not_told(acme: Api) -> None:
    assert acme.token is not None
    changed = acme.token[:-12] + ("a" * 12 if not acme.token.endswith("a" * 12) else "b" * 12)
    assert Api(acme.id, changed).post("/v1/accounts", {"name": "north"}).status_code == 401
    assert Api(acme.id, f"sqm_{'x' * 16}_{'y' * 49}").post("/v1/accounts", {"name": "north"}).status_code == 401
    assert refusals(acme) == []


def test_token__expired_and_sent_with_a_method_that_is_not_there__is_not_told(acme: Api) -> None:
    made, caller = make_token(acme)
    with scoped(acme.scope):
        TokenSecret.objects.filter(token_id=made["id"]).update(expires=dt.datetime.now(dt.UTC))
    assert caller.delete("/v1/accounts").status_code == 401
    assert refusals(acme) == []


def test_refresh__dropped_secret_from_a_wrong_network__ends_the_family_with_an_alarm(acme: Api) -> None:
    made, _ = make_token(acme, allowed_networks=[f"{NEAR}/32"])
    last = made
    for _ in range(2):
        bearer = Client(headers={"Authorization": f"Bearer {last['primary']['refresh']['secret']}"})
        last = ok(bearer.put(f"/v1/tokens/{made['id']}/refresh", REMOTE_ADDR=NEAR))
    works = Api(acme.id, last["primary"]["access"]["secret"])
    assert send_from(NEAR, works, "GET", "/v1/accounts") == 200
    thief = Api(acme.id, made["primary"]["refresh"]["secret"])
    assert send_from(FAR, thief, "PUT", f"/v1/tokens/{made['id']}/refresh") == 401
    assert send_from(NEAR, works, "GET", "/v1/accounts") == 401
    assert [(e.audit_type, e.status, e.remote_addr) for e in refusals(acme)] == [("ALARM", "reused-secret", FAR)]


def test_refresh__current_secret_from_a_wrong_network__is_refused_and_harmless(acme: Api) -> None:
    made, _ = make_token(acme, allowed_networks=[f"{NEAR}/32"])
    holder = Api(acme.id, made["primary"]["refresh"]["secret"])
    assert send_from(FAR, holder, "PUT", f"/v1/tokens/{made['id']}/refresh") == 401
    assert [(e.audit_type, e.action, e.status) for e in refusals(acme)] == [
        ("ERROR", "tokens.refresh", "unauthenticated")
    ]
    assert send_from(NEAR, holder, "PUT", f"/v1/tokens/{made['id']}/refresh") == 200
