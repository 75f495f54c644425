"""`Idempotency-Key`: a request sent again has the answer of the first, and takes effect once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

import core.idempotency.services as idempotency
from accounts.models import Account
from core.idempotency.models import IdempotentRequest
from core.tenancy import scoped
from tests.api import Api
from tests.identity.test_member import SECRET, make_member
from tests.identity.test_session import enrol
from tests.objects import make_account

KEY = {"Idempotency-Key": "order 4711"}


def count(api: Api) -> int:
    with scoped(api.scope):
        return Account.objects.count()


def age(api: Api, **by: int) -> None:
    with scoped(api.scope):
        IdempotentRequest.objects.update(claimed_at=timezone.now() - dt.timedelta(**by))


def test_post__again_with_its_key__answers_the_same_and_does_nothing(acme: Api) -> None:
    first = acme.post("/v1/accounts", {"fullname": "North"}, headers=KEY)
    again = acme.post("/v1/accounts", {"fullname": "North"}, headers=KEY)
    assert (again.status_code, again.content, again.headers["ETag"]) == (200, first.content, first.headers["ETag"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert count(acme) == 1
    assert events_in(acme) == 1


def events_in(api: Api) -> int:
    with scoped(api.scope), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_auditevent")
        return int(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("path", "body"),
    [("/v1/accounts", {"fullname": "South"}), ("/v1/accounts?x=1", {"fullname": "North"}), ("/v1/tokens", {})],
)
def test_post__another_with_the_key__is_refused(acme: Api, path: str, body: Any) -> None:
    acme.post("/v1/accounts", {"fullname": "North"}, headers=KEY)
    answer = acme.post(path, body, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert count(acme) == 1


def test_post__with_anothers_key__is_its_own(acme: Api, globex: Api) -> None:
    for api in (acme, acme.issue(), globex):
        assert api.post("/v1/accounts", {"fullname": "North"}, headers=KEY).status_code == 200
    assert (count(acme), count(globex)) == (2, 1)


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "ä", "a\tb"])
def test_key__that_is_none__is_refused(acme: Api, key: str) -> None:
    answer = acme.post("/v1/accounts", {"name": "x"}, headers={"Idempotency-Key": key})
    assert answer.status_code == 400
    assert answer.json()["context"]["parameter"]["id"] == "Idempotency-Key"
    assert count(acme) == 0


def test_post__refused__leaves_the_key_free(acme: Api) -> None:
    assert acme.post("/v1/accounts", {"name": "No"}, headers=KEY).status_code == 400
    assert acme.post("/v1/accounts", {"name": "yes"}, headers=KEY).status_code == 200


def test_post__while_the_first_is_under_way__waits(acme: Api) -> None:
    with scoped(acme.scope):
        begin(acme, "/v1/accounts", b'{"name":"x"}')
    answer = acme.post("/v1/accounts", {"name": "x"}, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/request-under-way")
    assert answer.headers["Retry-After"] == "1"


def test_post__after_the_first_died__takes_its_place(acme: Api) -> None:
    with scoped(acme.scope):
        dead = begin(acme, "/v1/accounts", b'{"name":"x"}')
    age(acme, seconds=31)
    assert acme.post("/v1/accounts", {"name": "x"}, headers=KEY).status_code == 200
    with scoped(acme.scope), pytest.raises(idempotency.RequestUnderWayError):
        dead.settle(b"{}")


def begin(api: Api, path: str, body: bytes) -> idempotency.Once:
    begun = idempotency.begin(key=KEY["Idempotency-Key"], token_id=api.token_id, request=f"POST {path}", body=body)
    assert isinstance(begun, idempotency.Once)
    return begun


def test_post__a_day_later__is_a_new_request(acme: Api) -> None:
    acme.post("/v1/accounts", {"fullname": "North"}, headers=KEY)
    age(acme, hours=25)
    assert acme.post("/v1/accounts", {"fullname": "North"}, headers=KEY).status_code == 200
    assert count(acme) == 2


def test_answer__with_secrets__is_sealed_and_comes_whole(acme: Api) -> None:
    body = {"permission_set": "viewer", "resources": {}}
    first = acme.post("/v1/tokens", body, headers=KEY)
    assert first.status_code == 200, first.content
    secret = first.json()["result"]["primary"]["access"]["secret"]
    assert acme.post("/v1/tokens", body, headers=KEY).json() == first.json()
    with scoped(acme.scope):
        assert secret.encode() not in bytes(IdempotentRequest.objects.get().sealed_answer)


def test_post__that_makes_no_object__is_answered_again_too(acme: Api) -> None:
    path = f"/v1/integrations/{make_account(acme)['id']}/verify"
    body = {"integration": {"name": "x", "provider_config": {"type": "ticketing_mock_ticketing"}}}
    first, before = acme.post(path, body, headers=KEY), events_in(acme)
    again = acme.post(path, body, headers=KEY)
    assert first.status_code == again.status_code == 200, first.content
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
    assert events_in(acme) == before


def test_post__without_an_answer__has_none_again(acme: Api) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    _, recovery = enrol(session)
    first, again = (session.post("/v1/auth/second_factor/remove", {"code": recovery[3]}, headers=KEY) for _ in range(2))
    assert (first.status_code, again.status_code, again.content) == (204, 204, b"")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers.get("Content-Type") == first.headers.get("Content-Type")


def test_effect__whose_transaction_fails__leaves_nothing(
    acme: Api, monkeypatch: pytest.MonkeyPatch, client: Any
) -> None:
    """The answer is kept in the transaction of the effect: without the one there is not the other."""
    settle: Callable[..., None] = idempotency.Once.settle

    def fail(once: idempotency.Once, content: bytes, *args: Any) -> None:
        settle(once, content, *args)
        raise idempotency.RequestUnderWayError("as if another had taken over")

    monkeypatch.setattr(idempotency.Once, "settle", fail)
    assert acme.post("/v1/accounts", {"name": "x"}, headers=KEY).status_code == 409
    monkeypatch.undo()
    assert count(acme) == 0
    assert acme.post("/v1/accounts", {"name": "x"}, headers=KEY).status_code == 200


def test_answer__for_a_token_whose_reach_has_changed__is_not_given(acme: Api) -> None:
    role = {
        "name": "north",
        "permission_set": "administrator",
        "resources": {"accounts": {"ids": ["*"], "labels": ["n"]}},
    }
    assert acme.post("/v1/roles", role).status_code == 200
    member = {"name": "ada", "type": "service", "secret": "seven horses eat paper"}
    made = acme.post("/v1/members", {**member, "role_binding": ["administrator"]}).json()["result"]["member"]
    acme.post("/v1/members", {**member, "name": "bob", "role_binding": ["administrator"]})  # one must remain
    ada = acme.log_on("ada", member["secret"])
    body = {"fullname": "South", "labels": ["s"]}
    assert ada.post("/v1/accounts", body, headers=KEY).status_code == 200
    assert ada.post("/v1/accounts", body, headers=KEY).status_code == 200
    patch = [{"op": "replace", "path": "/role_binding", "value": ["north"]}]
    assert acme.patch(f"/v1/members/{made['id']}", patch).status_code == 200
    assert ada.post("/v1/accounts", body, headers=KEY).status_code == 403


def test_prune__old_keys__are_deleted(acme: Api) -> None:
    acme.post("/v1/accounts", {"name": "x"}, headers=KEY)
    assert idempotency.prune_requests(before=timezone.now() - dt.timedelta(days=1)) == 0
    age(acme, hours=25)
    assert idempotency.prune_requests(before=timezone.now() - dt.timedelta(days=1)) == 1
