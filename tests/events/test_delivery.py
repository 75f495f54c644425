"""Deliveries: what is sent, when it is tried again, and when no more."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import hmac
import socket
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook
from synqly.management.organization_webhook_events import OrganizationWebhookPayload

from core.columns import new_id
from core.ledger.models import Run, RunState
from core.ledger.services import claim, conclude
from core.outbound import Limits
from core.tenancy import scoped
from events.audit.models import AuditEvent
from events.deliveries import sending
from events.webhooks.models import OrganizationWebhook
from tests.api import Api
from tests.client.strict import refuse_different
from tests.core.outbound_servers import reply, reset
from tests.events.receiver import (
    BROKEN,
    OK,
    SECRET,
    WEBHOOKS,
    Clock,
    Receiver,
    answer,
    deliveries,
    details,
    make_webhook,
)
from tests.objects import make_account, make_integration, ok

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "JITTER", 0.0)


def states(api: Api, webhook: dict[str, Any]) -> list[str]:
    return [each["state"] for each in deliveries(api, webhook)]


def test_event__account_made__arrives_signed_both_ways(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    account = make_account(acme, name="north")
    assert clock.work() == 1
    (request,) = receiver.requests
    refuse_different(request.payload, OrganizationWebhookPayload)
    shown = ok(acme.get(f"/v1/accounts/{account['id']}"))
    (delivery,) = deliveries(acme, webhook)
    assert request.payload == {"event": "account_create", "account": shown, "nonce": delivery["id"]}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == delivery["id"]
    assert Webhook(SECRET).verify(request.body, request.headers) == request.payload
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-synqly-signature"] == f"sha256={expected}"
    assert (delivery["state"], delivery["attempt_count"], delivery["status_code"]) == ("delivered", 1, 200)
    assert "next_attempt_at" not in delivery


def test_event__every_change_of_accounts_and_integrations__is_told_in_its_words(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    make_webhook(acme, receiver.url)
    account = make_account(acme, name="north")
    ok(acme.put(f"/v1/accounts/{account['id']}", {**account, "fullname": "North"}))
    ok(acme.patch(f"/v1/accounts/{account['id']}", [{"op": "replace", "path": "/fullname", "value": "Norther"}]))
    config = {
        "type": "sink_http",
        "url": "https://sink.example/events",
        "authorization": {"type": "token_config", "credential": {"type": "token", "secret": CANARY}},
    }
    made = make_integration(acme, account["id"], config, webhook_config={"provider_key": CANARY, "items": []})
    path = f"/v1/integrations/{account['id']}/{made['id']}"
    ok(acme.patch(path, [{"op": "replace", "path": "/fullname", "value": "Sink"}]))
    last = ok(acme.get(path))
    assert acme.delete(path).status_code == 204
    assert acme.delete(f"/v1/accounts/{account['id']}").status_code == 204
    clock.work()
    payloads = [request.payload for request in receiver.requests]
    assert [each["event"] for each in payloads] == [
        "account_create", "account_update", "account_update", "integration_create", "integration_update",
        "integration_delete", "account_delete",
    ]  # fmt: skip
    for payload in payloads:
        refuse_different(payload, OrganizationWebhookPayload)
        assert payload["account"]["id"] == account["id"]
    assert payloads[5]["integration"] == last
    assert payloads[2]["account"]["fullname"] == "Norther"
    assert CANARY not in str(payloads)


def test_event__unwanted_foreign_or_refused__is_not_sent(
    acme: Api, globex: Api, receiver: Receiver, clock: Clock
) -> None:
    make_webhook(acme, receiver.url, environment="test")
    make_webhook(acme, receiver.url, filters=["account_delete", "integration_create"])
    disabled = make_webhook(acme, receiver.url)
    ok(acme.post(f"{WEBHOOKS}/{disabled['id']}/disable"))
    make_account(acme, name="north")
    make_account(globex, name="north", environment="test")
    assert acme.post("/v1/accounts", {"name": "north"}).status_code == 409
    assert clock.work() == 0


def test_event__of_a_change_that_is_undone__is_not_sent(acme: Api, receiver: Receiver, clock: Clock) -> None:
    make_webhook(acme, receiver.url)
    account = make_account(acme)
    clock.work()
    operations = [{"op": "replace", "path": "/fullname", "value": "x"}, {"op": "test", "path": "/name", "value": "y"}]
    assert acme.patch(f"/v1/accounts/{account['id']}", operations).status_code == 409
    assert clock.work() == 0


def test_schedule__receiver_that_fails__is_asked_eight_times_with_one_body(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [BROKEN]
    waited = []
    while clock.work():
        (delivery,) = deliveries(acme, webhook)
        if "next_attempt_at" in delivery:
            wait = dt.datetime.fromisoformat(delivery["next_attempt_at"]) - clock()
            waited.append(round(wait.total_seconds()))
            clock.forward(seconds=wait.total_seconds() - 2)
            assert clock.work() == 0
            clock.forward(seconds=2.1)
    assert [round(each / 5) * 5 for each in waited] == [5, 300, 1800, 7200, 18_000, 36_000, 36_000]
    shown = details(acme, delivery)
    assert (shown["state"], shown["attempt_count"], shown["status_code"]) == ("failed", 8, 500)
    assert [each["number"] for each in shown["attempts"]] == list(range(1, 9))
    assert {each["answer"] for each in shown["attempts"]} == {"oops"}
    assert {each["error"] for each in shown["attempts"]} == {"the receiver answered 500"}
    assert len({request.body for request in receiver.requests}) == 1
    assert {request.headers["webhook-id"] for request in receiver.requests} == {delivery["id"]}
    assert len({request.headers["webhook-timestamp"] for request in receiver.requests}) == 8
    with scoped(acme.scope):
        assert Run.objects.get().state == RunState.FAILED


def test_receiver__back_after_an_hour__gets_what_it_missed(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [reset, BROKEN, BROKEN, OK]
    for _ in range(3):
        clock.work()
        clock.forward(minutes=20)
    assert states(acme, webhook) == ["pending"]
    clock.forward(minutes=20)
    clock.work()
    assert states(acme, webhook) == ["delivered"]
    (delivery,) = deliveries(acme, webhook)
    assert [each.get("status_code") for each in details(acme, delivery)["attempts"]] == [None, 500, 500, 200]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LIMITS", Limits(total=0.5, answer=2048, truncate=True))


REDIRECT = answer("302 Found", b"", b"Location: http://127.0.0.1:1/elsewhere")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "script, status, error",
    [
        (REDIRECT, 302, "redirects are not followed"),
        (answer("404 Not Found"), 404, "answered 404"),
        (reset, None, "could not be called"),
        (reply(b"HTTP/1.1 200 OK\r\nContent-Le"), None, "did not send a valid HTTP answer"),
        (reply(b"lies"), None, "did not send a valid HTTP answer"),
        (reply(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100, pause=0.3), None, "did not answer in time"),
    ],
    ids=["redirects", "refuses", "resets", "stops short", "lies", "is slow"],
)
def test_receiver__that_misbehaves__is_tried_again(
    script: Any, status: int | None, error: str, acme: Api, receiver: Receiver
) -> None:
    clock = Clock()
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [script, OK]
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    (attempt,) = details(acme, delivery)["attempts"]
    assert (delivery["state"], attempt.get("status_code")) == ("pending", status)
    assert error in attempt["error"]
    clock.forward(seconds=7)
    clock.work()
    assert states(acme, webhook) == ["delivered"]


def stall(connection: socket.socket) -> None:
    """Sends a part of an answer, and nothing until the client hangs up."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstall")
    connection.recv(1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "script, kept",
    [
        (answer("200 OK", gzip.compress(b"thanks"), b"Content-Encoding: gzip"), ""),
        (reply(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"), "short"),
        (stall, "stall"),
        (reply(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokno"), "ok"),
    ],
    ids=["compressed", "cut off", "stalled", "no chunks"],
)
def test_answer__of_success_whose_body_cannot_be_read__counts(
    script: Any, kept: str, acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [script]
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    (attempt,) = details(acme, delivery)["attempts"]
    assert (delivery["state"], attempt["status_code"], attempt["answer"]) == ("delivered", 200, kept)


def test_answer__long_and_no_text__is_kept_to_2_kib(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [answer("200 OK", b"\x00\xff" * 100_000)]
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    (attempt,) = details(acme, delivery)["attempts"]
    assert attempt["answer"] == "\ufffd" * 2048
    assert delivery["state"] == "delivered"


def test_receiver__gone__disables_the_webhook_and_cancels_what_waits(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    make_account(acme)
    receiver.scripts = [answer("410 Gone")]
    clock.work()
    assert states(acme, webhook) == ["failed", "cancelled"]
    assert len(receiver.requests) == 1
    shown = ok(acme.get(f"{WEBHOOKS}/{webhook['id']}"))
    assert shown["disabled_reason"] == "gone"
    make_account(acme)
    clock.forward(days=10)
    assert clock.work() == 0
    with scoped(acme.scope):
        (event,) = AuditEvent.objects.filter(action="webhooks.disable")
        assert (event.object_id, event.token_id, event.response) == (webhook["id"], None, "disabled: gone")


def test_receiver__failing_for_five_days__disables_the_webhook(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    receiver.scripts = [BROKEN]
    for _ in range(5):
        make_account(acme)
        for _ in range(4):
            clock.work()
            clock.forward(hours=5, minutes=50)
        assert "disabled_at" not in ok(acme.get(f"{WEBHOOKS}/{webhook['id']}"))
    clock.forward(hours=6)
    clock.work()
    assert ok(acme.get(f"{WEBHOOKS}/{webhook['id']}"))["disabled_reason"] == "failing"
    assert set(states(acme, webhook)) == {"failed", "cancelled"}
    with scoped(acme.scope):
        assert AuditEvent.objects.filter(action="webhooks.disable").count() == 1
        assert not Run.objects.filter(state=RunState.WAITING).exists()


def test_receiver__that_answers_now_and_then__stays_enabled(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    receiver.scripts = [BROKEN]
    for day in range(8):
        make_account(acme)
        receiver.scripts = [OK] if day % 3 == 2 else [BROKEN]
        clock.work()
        clock.forward(days=1)
    assert "disabled_at" not in ok(acme.get(f"{WEBHOOKS}/{webhook['id']}"))


def test_network__closed_since_the_webhook_was_made__is_not_called(
    acme: Api, receiver: Receiver, clock: Clock, settings: Settings
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    settings.OUTBOUND_ALLOW = []
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    (attempt,) = details(acme, delivery)["attempts"]
    assert "only https" in attempt["error"]
    assert receiver.listener.count_others() == 0


def test_webhook__deleted__takes_deliveries_and_secrets_along(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    receiver.scripts = [BROKEN]
    clock.work()
    make_account(acme)
    assert acme.delete(f"{WEBHOOKS}/{webhook['id']}").status_code == 204
    clock.forward(days=1)
    assert clock.work() == 0
    assert len(receiver.requests) == 1
    assert acme.get(f"/v1/credentials/lookup/{webhook['credential_id']}").status_code == 404
    with scoped(acme.scope):
        assert set(Run.objects.values_list("state", flat=True)) == {RunState.CANCELLED}


def test_delivery__whose_attempt_breaks_inside__is_tried_again(
    acme: Api, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    with monkeypatch.context() as patch:
        patch.setattr(sending, "signature_headers", lambda **_: 1 // 0)
        clock.work()
    (delivery,) = deliveries(acme, webhook)
    assert "the service failed" in details(acme, delivery)["attempts"][0]["error"]
    clock.forward(seconds=7)
    clock.work()
    assert states(acme, webhook) == ["delivered"]


def test_webhook__that_succeeds_after_a_failure_began_later__is_not_failing(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    make_account(acme)
    first, second = claim(worker_id=new_id(), most=2, now=clock(), kinds=["delivery"])
    receiver.scripts = [OK, BROKEN]
    with scoped(acme.scope):
        success, failure = sending.WORK(first), sending.WORK(second)
        long_ago = clock() - dt.timedelta(days=1)
        conclude(claim=second, outcome=failure, now=clock())
        OrganizationWebhook.objects.update(failing_since=long_ago)
        conclude(claim=first, outcome=success, now=clock())
        assert OrganizationWebhook.objects.get(pk=webhook["id"]).failing_since is None
