"""The status of integrations: what is counted, what is an event, and what survives."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from core.errors import ProviderFailedError
from core.outbound import Cost
from core.tenancy import scoped
from integrations.models import Status, StatusEvent, StatusHour, Usage
from integrations.status.services import (
    Kind,
    count_call,
    counted_call,
    prune_events,
    prune_hours,
    start_of_hour,
)
from tests.api import Api
from tests.objects import HTTP_SINK, make_account, make_integration, ok

MOCK = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}
REFUSED = {
    "type": "notifications_slack",
    "channel": "#alerts",
    "url": "https://127.0.0.1:9",
    "credential": {"type": "token", "secret": "hush"},
}
COST = Cost(cpu_time=7, db_ops=3, api_ops=2, in_bytes=100, out_bytes=50)
NO = ProviderFailedError("the provider said no")


@pytest.fixture
def made(acme: Api) -> dict[str, Any]:
    """An integration whose provider was never asked."""
    return make_integration(acme, make_account(acme)["id"], HTTP_SINK)


def url_of(made: dict[str, Any], rest: str = "") -> str:
    return f"/v1/status/{made['account_id']}/{made['id']}{rest}"


def count(api: Api, made: dict[str, Any], *outcomes: ProviderFailedError | None) -> None:
    with scoped(api.scope):
        for outcome in outcomes:
            count_call(integration_id=made["id"], kind=Kind.OPERATION, outcome=outcome, cost=COST)


def test_status__never_called__is_listed_with_nothing(acme: Api, made: dict[str, Any]) -> None:
    shown = ok(acme.get(url_of(made)))
    assert shown == {
        "created_at": made["created_at"], "updated_at": made["created_at"], "account_id": made["account_id"],
        "integration_id": made["id"], "status": "unknown", "requests": 0, "failed": 0, "cpu_time": 0, "db_ops": 0,
        "api_ops": 0, "in_bytes": 0, "out_bytes": 0,
    }  # fmt: skip
    assert ok(acme.get("/v1/status")) == [shown]
    assert ok(acme.get(url_of(made, "/events"))) == []


def test_status__calls__add_up(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, None, NO, None)
    shown = ok(acme.get(url_of(made)))
    assert {**shown, "updated_at": ""} == {
        "created_at": made["created_at"], "updated_at": "", "account_id": made["account_id"],
        "integration_id": made["id"], "status": "ok", "requests": 3, "failed": 1, "cpu_time": 21, "db_ops": 9,
        "api_ops": 6, "in_bytes": 300, "out_bytes": 150,
    }  # fmt: skip
    assert shown["updated_at"] > made["created_at"]


def test_status__account_and_integration_by_name__are_found(acme: Api, made: dict[str, Any]) -> None:
    account = ok(acme.get(f"/v1/accounts/{made['account_id']}"))
    url = f"/v1/status/{account['name']}/{made['name']}"
    assert ok(acme.get(url))["integration_id"] == made["id"]
    assert ok(acme.get(f"{url}/events")) == []
    other = make_account(acme)["id"]
    assert acme.get(f"/v1/status/{other}/{made['id']}").status_code == 404


def test_status_events__failures_and_the_return_to_health__are_the_events(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, None, NO, NO, None, None, NO)
    events = ok(acme.get(url_of(made, "/events")))
    assert [(e["status"], e.get("error"), e["request"]) for e in events] == [
        ("failing", NO.message, 2), ("failing", NO.message, 3), ("ok", None, 4), ("failing", NO.message, 6),
    ]  # fmt: skip
    assert set(events[0]) == {"account_id", "integration_id", "created_at", "status", "error", "request"}
    assert ok(acme.get(url_of(made, "/events"), query={"order": "created_at[desc]"})) == events[::-1]
    assert ok(acme.get(url_of(made, "/events"), query={"filter": "status[eq]ok"})) == events[2:3]
    after = {"start_after": events[1]["created_at"]}
    assert ok(acme.get(url_of(made, "/events"), query=after)) == events[2:]


def test_status_events__of_one_instant__come_in_one_page(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, *[NO] * 4)
    with scoped(acme.scope):
        StatusEvent.objects.update(created_at=timezone.now())
    first = acme.get(url_of(made, "/events"), query={"limit": 1})
    assert len(ok(first)) == 4
    assert ok(acme.get(first.headers["Link"].split(">")[0][1:])) == []
    assert ok(acme.get(url_of(made, "/events"), query={"start_after": ok(first)[0]["created_at"]})) == []


def test_status__reset__leaves_events_hours_and_the_bill(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, NO, NO)
    before = ok(acme.get(url_of(made)))
    assert acme.put(url_of(made)).status_code == 204
    after = ok(acme.get(url_of(made)))
    assert (after["status"], after["requests"], after["failed"], after["in_bytes"]) == ("unknown", 0, 0, 0)
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]
    assert len(ok(acme.get(url_of(made, "/events")))) == 2
    count(acme, made, None)  # is no return to health: nothing is known of before
    assert len(ok(acme.get(url_of(made, "/events")))) == 2
    with scoped(acme.scope):
        assert Usage.objects.get().failed == 2


@pytest.mark.parametrize(
    "config, counted", [(MOCK, (1, 0, "ok")), (REFUSED, (1, 1, "failing")), (HTTP_SINK, (0, 0, "unknown"))]
)
def test_status__creation__counts_its_verification(acme: Api, config: Any, counted: Any) -> None:
    made = make_integration(acme, make_account(acme)["id"], config)
    shown = ok(acme.get(url_of(made)))
    assert (shown["requests"], shown["failed"], shown["status"]) == counted


def test_status__verify__counts_what_is_stored_only(acme: Api) -> None:
    made = make_integration(acme, make_account(acme)["id"], MOCK)
    url = f"/v1/integrations/{made['account_id']}"
    acme.post(f"{url}/{made['id']}/verify")
    acme.post(f"{url}/{made['id']}/verify", made)
    acme.post(f"{url}/verify", {"integration": {"provider_config": MOCK}})
    assert ok(acme.get(url_of(made)))["requests"] == 2


def test_status__integration_deleted__goes_with_it_and_the_bill_stays(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, NO)
    assert acme.delete(f"/v1/integrations/{made['account_id']}/{made['id']}").status_code == 204
    assert acme.get(url_of(made)).status_code == 404
    with scoped(acme.scope):
        assert not Status.objects.exists()
        assert not StatusEvent.objects.unnarrowed().exists()
        assert not StatusHour.objects.unnarrowed().exists()
        assert Usage.objects.get().integration_name == made["name"]
    count(acme, made, None)
    with scoped(acme.scope):
        assert Usage.objects.get().succeeded == 0


def test_status__account_deleted__goes_with_it(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, NO)
    assert acme.delete(f"/v1/accounts/{made['account_id']}").status_code == 204
    assert ok(acme.get("/v1/status")) == []
    with scoped(acme.scope):
        assert not StatusHour.objects.unnarrowed().exists()
        assert Usage.objects.count() == 1


def test_status__list__pages_by_account_and_integration(acme: Api) -> None:
    made = [make_integration(acme, a["id"], HTTP_SINK) for a in (make_account(acme), make_account(acme)) for _ in "ab"]
    keys = sorted((m["account_id"], m["id"]) for m in made)
    page = acme.get("/v1/status", query={"limit": 3})
    assert [(s["account_id"], s["integration_id"]) for s in ok(page)] == keys[:3]
    assert [s["integration_id"] for s in ok(acme.get(page.headers["Link"].split(">")[0][1:]))] == [keys[3][1]]
    after = {"start_after": ",".join(keys[1]), "order": "requests"}
    count(acme, made[0], None)
    assert {s["integration_id"] for s in ok(acme.get("/v1/status", query=after))} <= {m["id"] for m in made}
    assert (
        ok(acme.get("/v1/status", query={"order": "requests[desc]", "limit": 1}))[0]["integration_id"] == made[0]["id"]
    )
    assert len(ok(acme.get("/v1/status", query={"filter": "requests[gte]1"}))) == 1
    wrong = acme.get("/v1/status", query={"start_after": "x"})
    assert wrong.status_code == 400
    assert "account_id,integration_id" in wrong.json()["message"]
    for nonsense in ("requests[eq]x", "requests[eq]1.5", "requests[eq]99999999999999999999"):
        assert acme.get("/v1/status", query={"filter": nonsense}).status_code == 400


def test_status__expand__needs_the_right_to_read_there(acme: Api, made: dict[str, Any]) -> None:
    shown = ok(acme.get("/v1/status", query={"expand": "all"}))[0]
    assert shown["account"]["id"] == made["account_id"]
    assert shown["integration"] == made
    assert set(ok(acme.get("/v1/status", query={"expand": "accounts"}))[0]) - set(shown) == set()
    member = acme.issue("member")
    assert ok(member.get("/v1/status"))[0]["integration_id"] == made["id"]
    refused = member.get("/v1/status", query={"expand": "integration"})
    assert refused.status_code == 403
    assert "integrations" in refused.json()["message"]


def test_status__narrowed_token__sees_its_part(acme: Api, made: dict[str, Any]) -> None:
    other = make_integration(acme, make_account(acme)["id"], MOCK)
    count(acme, made, NO)
    by_account = acme.issue(resources={"accounts": {"ids": [other["account_id"]]}})
    by_category = acme.issue(resources={"integrations": {"categories": ["sink"]}})
    assert [s["integration_id"] for s in ok(by_account.get("/v1/status"))] == [other["id"]]
    assert [s["integration_id"] for s in ok(by_category.get("/v1/status"))] == [made["id"]]
    assert by_account.get(url_of(made)).status_code == 404
    assert by_account.put(url_of(made)).status_code == 404
    assert by_account.get(url_of(made, "/events")).status_code == 404
    assert ok(by_account.get("/v1/status/timeseries"))["series"][-1]["failed"] == 0
    assert ok(by_category.get("/v1/status/timeseries"))["series"][-1]["failed"] == 1
    assert len(ok(by_category.get(url_of(made, "/events")))) == 1


def test_status__narrowed_counter__counts_all_the_same(acme: Api, made: dict[str, Any]) -> None:
    other = acme.issue(resources={"accounts": {"ids": [make_account(acme)["id"]]}})
    count(other, made, None)
    assert ok(acme.get(url_of(made)))["requests"] == 1


@pytest.mark.parametrize("path", ["", "/one"])
def test_timeseries__calls__are_in_the_hour_of_24(acme: Api, made: dict[str, Any], path: str) -> None:
    count(acme, made, None, NO)
    with scoped(acme.scope):
        now = StatusHour.objects.get().hour
        for hours in (23, 24):
            StatusHour.in_scope(integration_id=made["id"], hour=now - dt.timedelta(hours=hours), succeeded=5).save()
    shown = ok(acme.get(url_of(made, "/timeseries") if path else "/v1/status/timeseries"))
    assert (shown["interval"], len(shown["series"])) == ("1h", 24)
    assert shown["series"][0]["created_at"] == shown["start_time"]
    assert (shown["series"][0]["succeeded"], shown["series"][1]["succeeded"]) == (5, 0)
    assert shown["series"][-1] == {
        "created_at": shown["series"][-1]["created_at"], "succeeded": 1, "failed": 1, "cpu_time": 14, "in_bytes": 200,
        "out_bytes": 100,
    }  # fmt: skip


def test_timeseries__interval__is_the_hour(acme: Api, made: dict[str, Any]) -> None:
    assert acme.get(url_of(made, "/timeseries"), query={"interval": "hour"}).status_code == 200
    assert acme.get(url_of(made, "/timeseries"), query={"interval": "day"}).status_code == 400
    assert acme.get("/v1/status/timeseries", query={"interval": "hour"}).status_code == 400


def test_counted_call__exception__is_counted_and_goes_on(acme: Api, made: dict[str, Any]) -> None:
    with scoped(acme.scope):
        with pytest.raises(ProviderFailedError), counted_call(integration_id=made["id"], kind=Kind.OPERATION):
            raise NO
        with pytest.raises(ZeroDivisionError), counted_call(integration_id=made["id"], kind=Kind.OPERATION):
            _ = 1 // 0
        with counted_call(integration_id=made["id"], kind=Kind.OPERATION) as call:
            call.is_made = False
    shown = ok(acme.get(url_of(made)))
    assert (shown["requests"], shown["failed"]) == (2, 2)


def test_count_call__database_refuses__does_not_fail_the_call(acme: Api, made: dict[str, Any]) -> None:
    with scoped(acme.scope):
        Status.objects.update(in_bytes=2**63 - 1)
    count(acme, made, None)  # one more byte than the column holds
    assert ok(acme.get("/v1/status"))[0]["integration_id"] == made["id"]


def test_prune__old_rows__go_and_young_ones_stay(acme: Api, made: dict[str, Any]) -> None:
    count(acme, made, NO)
    with scoped(acme.scope):
        now = timezone.now()
        assert (
            prune_events(before=now - dt.timedelta(minutes=1))
            == prune_hours(before=start_of_hour(now) - dt.timedelta(days=1))
            == 0
        )
        assert prune_events(before=now + dt.timedelta(minutes=1)) == 1
        assert prune_hours(before=now + dt.timedelta(hours=1)) == 1
        assert not StatusEvent.objects.exists()
        assert not StatusHour.objects.exists()
