"""The audit log: what is written, what is not, and how its chain shows what somebody did to it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from django.db import connection, transaction
from django.utils import timezone

from core.columns import new_id
from core.tenancy import scoped
from events.audit.models import AuditEvent
from events.audit.proof import prove
from events.audit.services import prune_events
from events.audit.views import AuditEventViewSet
from identity.permissionsets.sets import Permissions
from tests.api import Api
from tests.objects import make_account, ok

PATH = "/v1/audit/organizations"


def events(api: Api, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(PATH, query=query)
    assert answer.status_code == 200, answer.content
    result: list[dict[str, Any]] = answer.json()["result"]
    return result


def rows(api: Api) -> list[AuditEvent]:
    """With what the contract has no member for."""
    with scoped(api.scope):
        return list(AuditEvent.objects.order_by("sequence"))


def test_change__of_every_kind__has_one_event(acme: Api) -> None:
    account = make_account(acme, name="north", environment="test")
    acme.patch("/v1/accounts/north", [{"op": "replace", "path": "/fullname", "value": "North"}])
    acme.get("/v1/accounts/north")
    acme.delete("/v1/accounts/north")
    seen = events(acme)
    assert [e.action for e in rows(acme)] == ["accounts.create", "accounts.patch", "accounts.delete"]
    assert {e.object_id for e in rows(acme)} == {e["account_id"] for e in seen} == {account["id"]}
    assert {e.token_id for e in rows(acme)} == {acme.token_id}
    assert {(e["status"], e["code"], e["audit_type"], e["environment"]) for e in seen} == {
        ("done", "200", "API", "test")
    }
    assert [(e["method"], e["path"]) for e in seen] == [
        ("POST", "/v1/accounts"), ("PATCH", "/v1/accounts/north"), ("DELETE", "/v1/accounts/north"),
    ]  # fmt: skip
    assert seen[0]["body"]["name"] == "north"
    assert seen[1]["body"] == [{"op": "replace", "path": "/fullname", "value": "North"}]
    assert "body" not in seen[2]


@pytest.mark.parametrize(
    ("request_line", "body", "code", "status"),
    [
        ("POST /v1/accounts", {"name": "Not A Name"}, "400", "invalid-request"),
        ("POST /v1/accounts", {"name": "taken"}, "409", "duplicate-name"),
        ("DELETE /v1/accounts/nowhere", None, "404", "not-found"),
        ("PUT /v1/accounts/taken", b"{", "400", "malformed-body"),
    ],
)
def test_refusal__of_any_kind__has_one_event_with_its_reason(
    acme: Api, request_line: str, body: Any, code: str, status: str
) -> None:
    method, path = request_line.split()
    make_account(acme, name="taken")
    assert str(acme.request(method, path, body).status_code) == code
    _, event = events(acme)
    assert (event["audit_type"], event["code"], event["status"]) == ("ERROR", code, status)
    assert event["response"]


def test_refusal__for_want_of_a_grant__names_who_asked(acme: Api, reader: Api) -> None:
    assert reader.post("/v1/accounts", {"name": "x"}).status_code == 403
    (event,) = rows(acme)
    assert (event.action, event.status, event.token_id) == ("accounts.create", "forbidden", reader.token_id)


def test_no_event__is_anothers(acme: Api, globex: Api) -> None:
    make_account(globex)
    assert events(acme) == []
    assert len(events(globex)) == 1


def test_change__rolled_back__has_the_event_of_its_refusal_only(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    narrowed = acme.issue(resources={"accounts": {"labels": ["gold"]}})
    assert narrowed.post("/v1/accounts", {"name": "outside", "labels": ["silver"]}).status_code == 403
    assert [(e.action, e.status) for e in rows(acme)] == [("accounts.create", "forbidden")]


def test_body__with_secrets__shows_none(acme: Api) -> None:
    account = make_account(acme)
    secret, stray = "canary-of-the-audit", "canary-in-a-stray-member"
    config = {"type": "basic", "username": secret, "secret": secret}
    path = f"/v1/credentials/{account['id']}"
    made = acme.post(path, {"name": "c", "config": config}).json()["result"]
    acme.put(f"{path}/c", made | {"config": config | {"secret": f"{secret}-2"}})
    acme.patch(f"{path}/c", [{"op": "replace", "path": "/config/secret", "value": secret}])
    acme.patch(f"{path}/c", [{"op": "replace", "path": "/config", "value": config}])
    acme.post(path, {"name": "d", "config": config, "password": stray})
    acme.post(path, {"name": "d", "config": {"type": "unheard-of", "secret": secret}})
    acme.post(path, {"name": "d", "config": [secret]})
    shown = acme.get(PATH).content.decode()
    assert "canary" not in shown
    bodies = [e["body"] for e in events(acme)[1:]]
    assert bodies[0] == {"name": "c", "config": {"type": "basic", "username": "***", "secret": "***"}}
    assert bodies[2] == [{"op": "replace", "path": "/config/secret", "value": "***"}]
    assert bodies[4]["password"] == "***"
    with connection.cursor() as cursor, scoped(acme.scope):
        cursor.execute("SELECT body FROM events_auditevent")
        assert "canary" not in str(cursor.fetchall())


def test_body__of_another_shape_than_the_schema__shows_nothing_of_it(acme: Api) -> None:
    account = make_account(acme)
    body = {"name": "c", "config": {"type": "token", "secret": "canary-written-twice"}}
    for wrong in (orjson.dumps(body).decode(), [body], {**body, "config": orjson.dumps(body["config"]).decode()}):
        answer = acme.post(f"/v1/credentials/{account['id']}", wrong)
        assert answer.status_code == 400
        assert b"canary" not in answer.content
    assert "canary" not in acme.get(PATH).content.decode()


def test_refusal__of_an_address_with_a_nul__is_recorded(acme: Api) -> None:
    assert acme.delete("/v1/accounts/%00").status_code == 404
    (event,) = events(acme)
    assert event["path"] == "/v1/accounts/\ufffd"


def test_times__of_events__follow_the_chain(acme: Api) -> None:
    for i in range(5):
        make_account(acme, name=f"a{i}")
    times = [event.created_at for event in rows(acme)]
    assert times == sorted(times)


def test_body__too_long__is_told_by_its_size(acme: Api) -> None:
    acme.post("/v1/accounts", {"name": "x", "labels": ["a" * 48 + str(i) for i in range(900)]})
    (event,) = events(acme)
    assert "bytes" in event["body"]["truncated"]


@pytest.mark.parametrize(
    ("field", "op", "value", "count"),
    [
        ("action", "eq", "accounts.create", 1),
        ("action", "like", "accounts.%", 2),
        ("audit_type", "eq", "ERROR", 1),
        ("code", "gte", "400", 1),
        ("status", "ne", "done", 1),
        ("method", "in", "POST,DELETE", 2),
        ("path", "like", "%north", 1),
        ("environment", "eq", "prod", 1),
        ("remote_addr", "eq", "127.0.0.1", 2),
        ("user_agent", "eq", "suite/1", 0),
        ("response", "like", "%no account%", 1),
        ("created_at", "gt", "2026-01-01T00:00:00Z", 2),
    ],
)
def test_filter__by_every_field__narrows(acme: Api, field: str, op: str, value: str, count: int) -> None:
    make_account(acme)
    acme.delete("/v1/accounts/north")
    assert len(events(acme, filter=f"{field}[{op}]{value}")) == count


@pytest.mark.parametrize(
    "field", ["token_id", "object_id", "account_id", "member_id", "integration_id", "bridge_group_id"]
)
def test_filter__by_id__narrows(acme: Api, field: str) -> None:
    made = make_account(acme)
    ids = {"token_id": acme.token_id, "object_id": made["id"], "account_id": made["id"]}
    assert len(events(acme, filter=f"{field}[eq]{ids.get(field, new_id())}")) == (1 if field in ids else 0)


def test_pages__of_one_instant__are_neither_split_nor_repeated(acme: Api) -> None:
    for i in range(5):
        make_account(acme, name=f"a{i}")
    with scoped(acme.scope):
        AuditEvent.objects.update(created_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    assert len(events(acme, limit=2)) == 5


def test_filter__that_no_index_serves__looks_at_so_many_events_a_page(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AuditEventViewSet, "cursor", dataclasses.replace(AuditEventViewSet.cursor, most=3))
    for i in range(7):
        make_account(acme, name=f"a{i}")
    acme.delete("/v1/accounts/a6")
    for order, wanted, counts in (
        ("[asc]", "DELETE", [0, 0, 1]),
        ("[desc]", "DELETE", [1, 0, 0]),
        ("[asc]", "POST", [2, 2, 2, 1]),  # a page is full before it has looked at as many
    ):
        query: list[tuple[str, Any]] = [("filter", f"method[eq]{wanted}"), ("filter", "path[like]/v1/*"),
                                        ("order", f"created_at{order}"), ("limit", 2)]  # fmt: skip
        assert [len(page) for page in pages(acme, query)] == counts
    account = ok(acme.get("/v1/accounts/a3"))
    chosen = [("filter", f"account_id[eq]{account['id']}"), ("filter", "method[eq]POST")]
    assert [len(page) for page in pages(acme, chosen)] == [1]
    since = [("filter", f"created_at[gte]{account['created_at']}"), ("filter", "method[ne]POST")]
    assert [len(page) for page in pages(acme, since)] == [0, 1]
    assert [len(page) for page in pages(acme, [("filter", "created_at[gte]2026-01-01")])] == [8]


def pages(api: Api, query: Sequence[tuple[str, Any]]) -> Iterator[list[Any]]:
    """Page after page, as `Link` leads."""
    answer = api.get(PATH, query=query)
    while True:
        yield ok(answer)
        if "Link" not in answer.headers:
            return
        answer = api.get(answer.headers["Link"].split(">")[0].removeprefix("<"))


def test_narrowed__to_an_account__sees_the_events_of_that(acme: Api) -> None:
    mine, other = make_account(acme, name="mine"), make_account(acme, name="other")
    narrowed = acme.issue(Permissions.VIEWER, resources={"accounts": {"ids": [mine["id"]]}})
    assert [e["account_id"] for e in events(narrowed)] == [mine["id"]]
    assert len(events(acme)) == 2
    assert other["id"] not in str(events(narrowed))


def change(sql: str, *values: Any) -> None:
    """What somebody does who has the database."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        assert cursor.rowcount == 1


@pytest.fixture
def chain(acme: Api) -> Api:
    for i in range(5):
        make_account(acme, name=f"a{i}")
    return acme


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events_auditevent SET status = 'forbidden' WHERE sequence = 3",
        "UPDATE events_auditevent SET body = NULL WHERE sequence = 3",
        "UPDATE events_auditevent SET created_at = '2026-01-01T00:00:00.000000Z' WHERE sequence = 3",
        "UPDATE events_auditevent SET sequence = 9 WHERE sequence = 3",
        "DELETE FROM events_auditevent WHERE sequence = 3",
        "DELETE FROM events_auditevent WHERE sequence = 1",
        "DELETE FROM events_auditevent WHERE sequence = 5",
        "UPDATE events_auditchain SET sequence = 4",
        "UPDATE events_auditchain SET pruned_sequence = 2",
        "DELETE FROM events_auditchain",
    ],
)
def test_chain__tampered_with__shows_it(chain: Api, sql: str) -> None:
    with scoped(chain.scope):
        assert prove().broken is None
        change(f"{sql} {'AND' if 'WHERE' in sql else 'WHERE'} organization_id = %s", chain.id)
        assert prove().broken is not None


def test_chain__pruned__still_holds(chain: Api) -> None:
    with scoped(chain.scope):
        third = AuditEvent.objects.get(sequence=3)
        assert prune_events(before=third.created_at) == 2
        assert prove().broken is None
        assert prune_events(before=timezone.now() + dt.timedelta(days=1)) == 3
        assert prove().broken is None
    make_account(chain, name="after")
    with scoped(chain.scope):
        assert AuditEvent.objects.get().sequence == 6
        assert prove().broken is None


def test_event__of_a_change_that_fails_to_commit__is_not_there(acme: Api) -> None:
    def make_and_fail() -> None:
        with transaction.atomic():
            make_account(acme)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        make_and_fail()
    assert events(acme) == []
