"""Doubts about integrations: credentials that expired meanwhile, names that are taken."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.tenancy import scoped
from credentials.models import Credential
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_credential, make_integration, ok, post_integration, signed_by

MOCK = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}


def expired(api: Api, owner: str) -> str:
    """The id of a credential, with the last of its time gone."""
    made = make_credential(api, owner)
    expire(api, made["id"])
    return str(made["id"])


def expire(api: Api, credential_id: str) -> None:
    with scoped(api.scope):
        gone = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
        assert Credential.objects.filter(id=credential_id).update(expires=gone) == 1


def doubts(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content.decode()
    problems = answer.json().get("messages", {}).get("problems", [])
    return [problem["type"].removeprefix("/problems/") for problem in problems]


@pytest.fixture
def account(acme: Api) -> str:
    return str(make_account(acme)["id"])


def test_integration__its_credential_expires__can_still_be_changed(acme: Api, account: str) -> None:
    credential = make_credential(acme, account)["id"]
    made = make_integration(acme, account, signed_by(credential))
    path = f"/v1/integrations/{account}/{made['id']}"
    expire(acme, credential)
    assert doubts(acme.patch(path, [{"op": "replace", "path": "/fullname", "value": "Renamed"}])) == []
    other = {**signed_by(credential), "url": "https://other.example/events"}
    changed = acme.patch(path, [{"op": "replace", "path": "/provider_config", "value": other}])
    assert doubts(changed) == ["credential-expired"]
    assert changed.json()["result"]["provider_config"] == other
    assert doubts(acme.post(f"{path}/verify")) == ["credential-expired"]
    assert doubts(acme.post(f"{path}/verify", ok(acme.get(path)))) == ["credential-expired"]


def test_integration__expired_credential_as_a_new_one__is_refused(acme: Api, account: str) -> None:
    late = expired(acme, account)
    at = "/provider_config/authorization/credential/value"
    assert_problem(post_integration(acme, account, signed_by(late)), 400, "credential-expired", at=at)
    made = make_integration(acme, account, signed_by(make_credential(acme, account)["id"]))
    path = f"/v1/integrations/{account}/{made['id']}"
    change = [{"op": "replace", "path": at, "value": late}]
    assert_problem(acme.patch(path, change), 400, "credential-expired", at=at)
    assert ok(acme.get(path)) == made


def test_verify__name_that_is_taken__is_a_doubt(acme: Api, account: str) -> None:
    make_integration(acme, account, MOCK, name="tickets")
    mine = make_integration(acme, account, MOCK, name="mine")
    url = f"/v1/integrations/{account}"
    assert doubts(acme.post(f"{url}/verify", {"integration": {"provider_config": MOCK}})) == []
    assert doubts(acme.post(f"{url}/verify", {"integration": {"provider_config": MOCK, "name": "free"}})) == []
    taken = acme.post(f"{url}/verify", {"integration": {"provider_config": MOCK, "name": "tickets"}})
    assert doubts(taken) == ["duplicate-name"]
    assert taken.json()["messages"]["problems"][0]["context"]["parameter"]["id"] == "/integration/name"
    assert doubts(acme.post(f"{url}/mine/verify", mine)) == []
    assert doubts(acme.post(f"{url}/mine/verify", {**mine, "name": "tickets"})) == ["duplicate-name"]
