"""Organization webhooks: addresses, secrets and their rotation, and what can be done beside the six verbs."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from core.columns import new_id
from core.instants import format_instant, now_text
from core.ledger.models import Run, RunState
from core.ledger.performing import perform
from core.ledger.services import claim
from core.tenancy import scoped
from events.audit.models import AuditEvent
from events.deliveries.models import Delivery, DeliveryAttempt
from events.deliveries.services import prune_deliveries
from events.webhooks import services
from events.webhooks.models import OrganizationWebhook
from tests.api import Api
from tests.events.receiver import (
    BROKEN,
    OK,
    SECRET,
    WEBHOOKS,
    Clock,
    Receiver,
    deliveries,
    details,
    make_webhook,
)
from tests.objects import make_account, make_credential, ok

URL = "https://hooks.example/in"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def refused(answer: Any, pointer: str) -> str:
    assert answer.status_code == 400, answer.content
    assert answer.json()["context"]["parameter"]["id"] == pointer
    return str(answer.json()["message"])


def verifies(request: Any, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/in", "https://127.0.0.1/in", "https://[::1]/in", "https://169.254.169.254/",
        "https://user:hush@hooks.example/", "ftp://hooks.example/", "https://0x7f000001/", "hooks", "https://a b/",
    ],
)  # fmt: skip
def test_url__not_public_https__is_refused(acme: Api, url: str) -> None:
    body = {"filters": ["all"], "url": url, "secret": {"value": SECRET}}
    assert "hush" not in refused(acme.post(WEBHOOKS, body), "/url")


def test_url__in_an_opened_network__is_taken(acme: Api, settings: Settings) -> None:
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    assert make_webhook(acme, "http://127.0.0.1:9/in")["url"] == "http://127.0.0.1:9/in"


@pytest.mark.parametrize(
    "secret, pointer",
    [
        ({"value": ""}, "/secret/value"),
        ({"value": "whsec_short"}, "/secret/value"),
        ({"value": "hush", "expires": "2020-01-01T00:00:00Z"}, "/secret/expires"),
        ("hush", "/secret"),
        ({"value": ["hush"]}, "/secret/value"),
    ],
)
def test_secret__that_is_none__is_refused_and_not_repeated(acme: Api, secret: Any, pointer: str) -> None:
    answer = acme.post(WEBHOOKS, {"filters": ["all"], "url": URL, "secret": secret})
    refused(answer, pointer)
    assert b"hush" not in answer.content


def test_secret__given__is_a_credential_of_the_webhook(acme: Api) -> None:
    webhook = make_webhook(acme, URL)
    credential = ok(acme.get(f"/v1/credentials/{webhook['id']}/{webhook['credential_id']}"))
    assert credential["organization_webhook_id"] == webhook["id"]
    assert credential["config"] == {"type": "secret"}
    assert acme.delete(f"/v1/credentials/{webhook['id']}/{webhook['credential_id']}").status_code == 409
    assert SECRET not in acme.get(WEBHOOKS).content.decode()


def test_secret__plain_text__signs_as_its_bytes(acme: Api, receiver: Receiver, clock: Clock) -> None:
    make_webhook(acme, receiver.url, secret={"value": "correct horse"})
    make_account(acme)
    clock.work()
    assert verifies(receiver.requests[0], "whsec_" + base64.b64encode(b"correct horse").decode())


def test_secret__another_put_in_its_place__signs_beside_the_old_one_for_a_day(
    acme: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook = make_webhook(acme, receiver.url)
    new = make_credential(acme, webhook["id"], {"type": "secret", "secret": OTHER}, owner_type="organization_webhook")
    ok(acme.put(f"{WEBHOOKS}/{webhook['id']}", {**webhook, "credential_id": new["id"]}))
    make_account(acme)
    clock.work()
    (request,) = receiver.requests
    assert verifies(request, SECRET)
    assert verifies(request, OTHER)
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    with scoped(acme.scope):
        found = OrganizationWebhook.objects.get()
        now = dt.datetime.now(dt.UTC)
        assert services.secrets_of(webhook=found, now=now) == [OTHER, SECRET]
        assert services.secrets_of(webhook=found, now=now + dt.timedelta(hours=25)) == [OTHER]


def test_secret__changed_in_its_credential__signs_beside_the_new_one_for_a_day(acme: Api) -> None:
    webhook = make_webhook(acme, URL)
    path = f"/v1/credentials/{webhook['id']}/{webhook['credential_id']}"
    operations = [{"op": "replace", "path": "/config/secret", "value": OTHER}]
    ok(acme.patch(path, operations))
    ok(acme.patch(path, operations))  # the same again replaces nothing
    with scoped(acme.scope):
        found = OrganizationWebhook.objects.get()
        now = dt.datetime.now(dt.UTC)
        assert services.secrets_of(webhook=found, now=now) == [OTHER, SECRET]
        assert services.secrets_of(webhook=found, now=now + dt.timedelta(hours=25)) == [OTHER]


def test_secret__expired__sends_nothing_until_there_is_another(acme: Api, receiver: Receiver, clock: Clock) -> None:
    expires = format_instant(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    webhook = make_webhook(acme, receiver.url, secret={"value": SECRET, "expires": expires})
    make_account(acme)
    clock.forward(hours=2)
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    assert "no secret" in details(acme, delivery)["attempts"][0]["error"]
    assert receiver.requests == []
    make_credential(acme, webhook["id"], {"type": "token", "secret": OTHER}, owner_type="organization_webhook")
    clock.forward(seconds=7)
    clock.work()
    expected = hmac.new(OTHER.encode(), receiver.requests[0].body, hashlib.sha256).hexdigest()
    assert receiver.requests[0].headers["x-synqly-signature"] == f"sha256={expected}"
    assert deliveries(acme, webhook)[0]["state"] == "delivered"


def test_credential__of_another_or_of_no_use__is_refused(acme: Api) -> None:
    webhook, other = make_webhook(acme, URL), make_webhook(acme, URL)
    basic = {"type": "basic", "username": "ann", "secret": "hush"}
    wrong = make_credential(acme, webhook["id"], basic, owner_type="organization_webhook")
    for each in (other["credential_id"], wrong["id"], webhook["id"]):
        body = {**webhook, "credential_id": each}
        refused(acme.put(f"{WEBHOOKS}/{webhook['id']}", body), "/credential_id")


def test_webhooks__more_than_an_organization_can_have__are_refused(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.webhooks.serializers.MOST_WEBHOOKS", 1)
    make_webhook(acme, URL)
    answer = acme.post(WEBHOOKS, {"filters": ["all"], "url": URL, "secret": {"value": SECRET}})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-many-webhooks")


def test_test__of_an_enabled_webhook__sends_an_event_of_its_own(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url, filters=["account_delete"])
    delivery = ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/test"))
    clock.work()
    assert receiver.requests[0].payload == {"event": "all", "nonce": delivery["id"]}
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/disable"))
    answer = acme.post(f"{WEBHOOKS}/{webhook['id']}/test")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/webhook-disabled")


def test_disabled__and_enabled_again__recovers_what_it_missed(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    path = f"{WEBHOOKS}/{webhook['id']}"
    make_account(acme)
    start = now_text()
    make_account(acme)
    shown = ok(acme.post(f"{path}/disable"))
    assert shown["disabled_reason"] == "requested"
    assert ok(acme.post(f"{path}/disable")) == shown
    assert [each["state"] for each in deliveries(acme, webhook)] == ["cancelled", "cancelled"]
    assert acme.post(f"{path}/recover", {"since": start}).status_code == 409
    enabled = ok(acme.post(f"{path}/enable"))
    assert "disabled_at" not in enabled
    assert clock.work() == 0
    assert ok(acme.post(f"{path}/recover", {"since": start})) == {"recovered": 1, "has_more": False}
    clock.work()
    assert [each["state"] for each in deliveries(acme, webhook)] == ["cancelled", "delivered"]
    assert ok(acme.post(f"{path}/recover", {"since": webhook["created_at"]})) == {"recovered": 1, "has_more": False}
    clock.work()
    assert len(receiver.requests) == 2
    refused(acme.post(f"{path}/recover", {"since": "yesterday"}), "/since")


def make_crowded(api: Api, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A webhook for which more waits than is cancelled or deleted at once."""
    monkeypatch.setattr("events.deliveries.services.BATCH", 2)
    webhook = make_webhook(api, "https://hooks.example/in")
    for _ in range(5):
        make_account(api)
    return webhook


def test_disabled__with_more_waiting_than_at_once__has_the_rest_cancelled_by_a_run(
    acme: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    webhook = make_crowded(acme, monkeypatch)
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/disable"))
    assert [each["state"] for each in deliveries(acme, webhook)] == ["cancelled"] * 2 + ["pending"] * 3
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/enable"))
    make_account(acme)
    with scoped(acme.scope):
        (claimed,) = claim(worker_id=new_id(), most=1, now=clock(), kinds=["webhook-clearing"])
    assert perform(claimed) == "done"
    assert [each["state"] for each in deliveries(acme, webhook)] == ["cancelled"] * 5 + ["pending"]


def test_deleted__with_more_deliveries_than_at_once__has_the_rest_deleted_by_a_run(
    acme: Api, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    webhook = make_crowded(acme, monkeypatch)
    assert acme.delete(f"{WEBHOOKS}/{webhook['id']}").status_code == 204
    with scoped(acme.scope):
        assert Delivery.objects.count() == 3
        (claimed,) = claim(worker_id=new_id(), most=1, now=clock(), kinds=["webhook-clearing"])
    assert perform(claimed) == "done"
    with scoped(acme.scope):
        assert Delivery.objects.count() == 0
        assert not Run.objects.filter(state=RunState.WAITING).exists()


def test_recover__more_than_at_once__says_so(acme: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.deliveries.services.MOST_RECOVERED", 2)
    webhook = make_webhook(acme, receiver.url)
    for _ in range(3):
        make_account(acme)
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/disable"))
    ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/enable"))
    body = {"since": webhook["created_at"]}
    answers = [ok(acme.post(f"{WEBHOOKS}/{webhook['id']}/recover", body)) for _ in range(3)]
    assert [(each["recovered"], each["has_more"]) for each in answers] == [(2, True), (1, False), (0, False)]


def test_resend__delivered_or_waiting__is_sent_at_once_unchanged(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    clock.work()
    (delivery,) = deliveries(acme, webhook)
    path = f"{WEBHOOKS}/{webhook['id']}/deliveries/{delivery['id']}/resend"
    receiver.scripts = [BROKEN, OK]
    assert ok(acme.post(path))["state"] == "pending"
    clock.work()
    assert ok(acme.post(path))["state"] == "pending"
    clock.work()
    clock.forward(days=1)
    assert clock.work() == 0
    first, *others = receiver.requests
    assert len(others) == 2
    assert {each.body for each in others} == {first.body}
    assert {each.headers["webhook-id"] for each in others} == {delivery["id"]}
    (delivery,) = deliveries(acme, webhook)
    assert (delivery["state"], delivery["attempt_count"]) == ("delivered", 3)


def test_resend__while_it_is_attempted__is_409(acme: Api, receiver: Receiver) -> None:
    webhook = make_webhook(acme, receiver.url)
    make_account(acme)
    now = dt.datetime.now(dt.UTC)
    assert len(claim(worker_id=webhook["id"], most=1, now=now, kinds=["delivery"])) == 1
    (delivery,) = deliveries(acme, webhook)
    answer = acme.post(f"{WEBHOOKS}/{webhook['id']}/deliveries/{delivery['id']}/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/delivery-under-way")
    with scoped(acme.scope):
        told = AuditEvent.objects.latest("sequence")
    assert (told.action, told.status, told.object_id) == ("webhooks.update", "delivery-under-way", delivery["id"])


def test_deliveries__filtered_and_paged__are_those_of_the_webhook(
    acme: Api, globex: Api, receiver: Receiver, clock: Clock
) -> None:
    webhook, other = make_webhook(acme, receiver.url), make_webhook(acme, receiver.url, filters=["account_delete"])
    first = make_account(acme)
    make_account(acme)
    clock.work()
    make_account(acme)
    everything = deliveries(acme, webhook)
    assert [each["state"] for each in everything] == ["delivered", "delivered", "pending"]
    assert deliveries(acme, other) == []
    assert deliveries(acme, webhook, filter="state[eq]pending") == everything[2:]
    assert deliveries(acme, webhook, filter=f"account_id[eq]{first['id']}") == everything[:1]
    assert deliveries(acme, webhook, filter=f"created_at[gt]{everything[0]['created_at']}") == everything[1:]
    assert deliveries(acme, webhook, order="created_at[desc]") == everything[::-1]
    assert deliveries(acme, webhook, limit=2, start_after=everything[0]["id"]) == everything[1:]
    path = f"{WEBHOOKS}/{webhook['id']}/deliveries"
    assert acme.get(path, query={"total": "true"}).json()["total"] == 3
    for wrong in ("name[eq]x", "state[eq]lost", "id[eq]x"):
        assert acme.get(path, query={"filter": wrong}).status_code == 400
    for gone in (
        f"{WEBHOOKS}/{other['id']}/deliveries/{everything[0]['id']}",
        f"{path}/north",
        f"{path}/{other['id']}",
    ):
        assert acme.get(gone).status_code == 404
    assert globex.get(path).status_code == 404


def test_deliveries__of_accounts_out_of_reach__are_not_there(acme: Api, receiver: Receiver) -> None:
    webhook = make_webhook(acme, receiver.url)
    seen, hidden = make_account(acme), make_account(acme)
    narrowed = acme.issue("viewer", resources={"accounts": {"ids": [seen["id"]]}})
    assert [each["account_id"] for each in deliveries(narrowed, webhook)] == [seen["id"]]
    (delivery,) = deliveries(acme, webhook, filter=f"account_id[eq]{hidden['id']}")
    assert narrowed.get(f"{WEBHOOKS}/{webhook['id']}/deliveries/{delivery['id']}").status_code == 404


def test_prune__deletes_what_ended__and_settles_what_nobody_does(acme: Api, receiver: Receiver, clock: Clock) -> None:
    webhook = make_webhook(acme, receiver.url)
    for _ in range(2):
        make_account(acme)
        clock.work()
    make_account(acme)
    now = dt.datetime.now(dt.UTC)
    assert prune_deliveries(before=now - dt.timedelta(days=1)) == 0
    assert prune_deliveries(before=now + dt.timedelta(days=1)) == 4  # two deliveries, an attempt of each
    with scoped(acme.scope):
        assert DeliveryAttempt.objects.count() == 0
        (delivery,) = Delivery.objects.all()
        Run.objects.filter(subject_id=delivery.id).update(state="failed", due_at=None, finished_at=now)
    assert prune_deliveries(before=now) == 0
    assert [each["state"] for each in deliveries(acme, webhook)] == ["failed"]


def test_organization__deleted__takes_its_webhooks_and_deliveries_along(acme: Api, receiver: Receiver) -> None:
    result = ok(acme.post("/v1/suborgs", {"name": "below"}))
    below = Api(result["organization"]["id"], result["token"]["access"]["secret"])
    make_webhook(below, receiver.url)
    make_account(below)
    assert acme.delete(f"/v1/suborgs/{below.id}").status_code == 204
    assert Clock().work() == 0
    assert receiver.requests == []
