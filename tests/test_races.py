"""Callers at the same time, against the server as a process: one wins, the others are told, nothing is left over."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import threading
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import orjson
import pytest

from tests.objects import HTTP_SINK, TOKEN_CONFIG, signed_by
from tests.server import Server

AT_ONCE = 20
_number = itertools.count()
Answer = tuple[int, Any]


def send(server: Server, method: str, path: str, body: Any = None, token: str = "") -> Answer:
    headers = {"Authorization": f"Bearer {token or server.token}", "Content-Type": "application/json"}
    data = None if body is None else orjson.dumps(body)
    try:
        with urlopen(Request(server.url + path, data, headers, method=method), timeout=60) as answer:
            content = answer.read()
            return int(answer.status), orjson.loads(content) if content else None
    except HTTPError as error:
        return error.code, orjson.loads(error.read())


def ok(answer: Answer) -> Any:
    assert answer[0] == 200, answer
    return answer[1]["result"]


def at_once(calls: list[Callable[[], Answer]]) -> list[Answer]:
    """Makes all calls as nearly together as threads can."""
    gate = threading.Barrier(len(calls))

    def wait_and_call(call: Callable[[], Answer]) -> Answer:
        gate.wait()
        return call()

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and_call, calls))


def statuses(answers: list[Answer]) -> dict[int, int]:
    return dict(collections.Counter(status for status, _ in answers))


@pytest.fixture
def server(live_server_process: Server) -> Server:
    return live_server_process


@pytest.fixture
def account(server: Server) -> str:
    made = ok(send(server, "POST", "/v1/accounts", {"name": f"race-{next(_number)}"}))
    return str(made["account"]["id"])


def test_create__same_name__one_succeeds(server: Server, account: str) -> None:
    name = f"same-{next(_number)}"
    point = {"name": name, "connector": "sink", "environments": {}}
    bodies = {
        "/v1/accounts": {"name": name, "labels": ["a"]},
        "/v1/tokens": {"name": name, "resources": {}, "permission_set": "viewer"},
        "/v1/integration-points": point,
        f"/v1/credentials/{account}": {"name": name, "config": TOKEN_CONFIG},
        f"/v1/integrations/{account}": {"name": name, "provider_config": HTTP_SINK},
    }
    for path, body in bodies.items():
        answers = at_once([lambda p=path, b=body: send(server, "POST", p, b)] * AT_ONCE)  # type: ignore[misc]
        assert statuses(answers) == {200: 1, 409: AT_ONCE - 1}, path
        assert {a["type"] for s, a in answers if s == 409} == {"/problems/duplicate-name"}


def test_create__same_fullname__each_has_a_name_of_its_own(server: Server) -> None:
    fullname = f"Same Fullname {next(_number)}"
    answers = at_once([lambda: send(server, "POST", "/v1/accounts", {"fullname": fullname})] * AT_ONCE)
    assert len({ok(answer)["account"]["name"] for answer in answers}) == AT_ONCE


def test_put__same_updated_at__one_wins(server: Server, account: str) -> None:
    path = f"/v1/accounts/{account}"
    before = ok(send(server, "GET", path))
    calls: list[Callable[[], Answer]] = [
        lambda n=n: send(server, "PUT", path, {**before, "fullname": f"Writer {n}"})  # type: ignore[misc]
        for n in range(AT_ONCE)
    ]
    answers = at_once(calls)
    assert statuses(answers) == {200: 1, 409: AT_ONCE - 1}
    (won,) = (answer["result"] for status, answer in answers if status == 200)
    assert ok(send(server, "GET", path)) == won


def test_put__of_an_integration__one_wins_and_one_credential_is_left(server: Server, account: str) -> None:
    made = ok(send(server, "POST", f"/v1/integrations/{account}", {"provider_config": HTTP_SINK}))["integration"]
    inline = {"type": "token_config", "credential": {"type": "token", "secret": "hush"}}
    body = {**made, "provider_config": {**HTTP_SINK, "authorization": inline}}
    path = f"/v1/integrations/{account}/{made['id']}"
    answers = at_once([lambda: send(server, "PUT", path, body)] * 8)
    assert statuses(answers) == {200: 1, 409: 7}
    assert len(ok(send(server, "GET", f"/v1/credentials/{made['id']}"))) == 1


def test_administrators__each_demoting_the_other__one_is_left(server: Server) -> None:
    below = ok(send(server, "POST", "/v1/suborgs", {"name": f"race-{next(_number)}"}))
    token = below["token"]["access"]["secret"]
    made = []
    for name in ("a@example.com", "b@example.com"):
        body = {"name": name, "secret": "seven horses eat paper", "role_binding": ["administrator"]}
        made.append(ok(send(server, "POST", "/v1/members", body, token))["member"])
    for _ in range(4):
        calls: list[Callable[[], Answer]] = [
            lambda m=m: send(server, "PUT", f"/v1/members/{m['id']}", {**m, "role_binding": ["viewer"]}, token)  # type: ignore[misc]
            for m in made
        ]
        calls += [lambda m=m: send(server, "DELETE", f"/v1/members/{m['id']}", None, token) for m in made]  # type: ignore[misc]
        at_once(calls)
    left = ok(send(server, "GET", "/v1/members", None, token))
    assert [member["role_binding"] for member in left].count(["administrator"]) == 1


def test_guesses__at_once__are_all_counted(server: Server) -> None:
    body = {"name": f"nobody-{next(_number)}@example.com", "secret": "seven horses eat paper"}
    path = f"/v1/auth/logon/{server.organization_id}"
    answers = statuses(at_once([lambda: send(server, "POST", path, body)] * AT_ONCE))
    assert answers == {401: 5, 429: AT_ONCE - 5}


def test_delete__many_times__happens_once(server: Server, account: str) -> None:
    answers = at_once([lambda: send(server, "DELETE", f"/v1/accounts/{account}")] * AT_ONCE)
    assert statuses(answers) == {204: 1, 404: AT_ONCE - 1}


def test_delete_of_an_account__while_it_fills__leaves_nothing_of_it(server: Server) -> None:
    inline = {"type": "token_config", "credential": {"type": "token", "secret": "hush"}}
    config = {**HTTP_SINK, "authorization": inline}
    for _ in range(4):
        made = ok(send(server, "POST", "/v1/accounts", {"name": f"doomed-{next(_number)}", "labels": ["a"]}))
        account = made["account"]["id"]
        calls: list[Callable[[], Answer]] = []
        for _ in range(5):
            calls.append(lambda a=account: send(server, "POST", f"/v1/integrations/{a}", {"provider_config": config}))  # type: ignore[misc]
            calls.append(lambda a=account: send(server, "POST", f"/v1/credentials/{a}", {"config": TOKEN_CONFIG}))  # type: ignore[misc]
        calls.insert(5, lambda a=account: send(server, "DELETE", f"/v1/accounts/{a}"))  # type: ignore[misc]
        answers = at_once(calls)
        assert set(statuses(answers)) <= {200, 204, 404, 409}, statuses(answers)
        while (status := send(server, "DELETE", f"/v1/accounts/{account}")[0]) == 409:
            pass
        assert status in (204, 404)
        listed = ok(send(server, "GET", f"/v1/integrations?filter=account_id[eq]{account}"))
        assert listed == []
        credentials = [
            credential["id"]
            for status, answer in answers
            if status == 200
            for credential in answer["result"].get("credentials_created", [answer["result"]])
        ]
        for credential in credentials:
            assert send(server, "GET", f"/v1/credentials/lookup/{credential}")[0] == 404


def test_delete_of_a_credential__while_it_is_taken_into_use__is_one_or_the_other(server: Server, account: str) -> None:
    for _ in range(8):
        credential = ok(send(server, "POST", f"/v1/credentials/{account}", {"config": TOKEN_CONFIG}))["id"]
        body = {"provider_config": signed_by(credential)}
        deleted, used = at_once(
            [
                lambda c=credential: send(server, "DELETE", f"/v1/credentials/{account}/{c}"),  # type: ignore[misc]
                lambda b=body: send(server, "POST", f"/v1/integrations/{account}", b),  # type: ignore[misc]
            ]
        )
        there = send(server, "GET", f"/v1/credentials/{account}/{credential}")[0]
        assert (deleted[0], used[0] == 200, there) in ((204, False, 404), (409, True, 200)), (deleted, used)
        assert used[0] in (200, 400, 409)


def test_delete_of_a_point__while_it_is_taken_into_use__is_one_or_the_other(server: Server, account: str) -> None:
    for _ in range(8):
        environments = {"test": ["*"], "prod": ["*"]}
        body = {"connector": "sink", "environments": environments}
        point = ok(send(server, "POST", "/v1/integration-points", body))["id"]
        use = {"provider_config": HTTP_SINK, "integration_point_id": point}
        deleted, used = at_once(
            [
                lambda p=point: send(server, "DELETE", f"/v1/integration-points/{p}"),  # type: ignore[misc]
                lambda b=use: send(server, "POST", f"/v1/integrations/{account}", b),  # type: ignore[misc]
            ]
        )
        there = send(server, "GET", f"/v1/integration-points/{point}")[0]
        assert (deleted[0], used[0] == 200, there) in ((204, False, 404), (409, True, 200)), (deleted, used)


def test_delete_of_a_token__while_it_derives_others__leaves_none_that_works(server: Server) -> None:
    body = {"resources": {}, "permission_set": "administrator"}
    for _ in range(6):
        made = ok(send(server, "POST", "/v1/tokens", body))
        secret = made["primary"]["access"]["secret"]
        calls: list[Callable[[], Answer]] = [
            lambda s=secret: send(server, "POST", "/v1/tokens", body, s)  # type: ignore[misc]
        ] * 7
        answers = at_once([*calls[:3], lambda i=made["id"]: send(server, "DELETE", f"/v1/tokens/{i}"), *calls[3:]])  # type: ignore[misc]
        assert set(statuses(answers)) <= {200, 204, 401}
        derived = [answer["result"]["primary"]["access"]["secret"] for status, answer in answers if status == 200]
        assert [send(server, "GET", "/v1/accounts", None, each)[0] for each in derived] == [401] * len(derived)


def test_refresh__with_one_secret_at_once__one_wins(server: Server) -> None:
    for _ in range(4):
        made = ok(send(server, "POST", "/v1/tokens", {"resources": {}, "permission_set": "viewer"}))
        path, secret = f"/v1/tokens/{made['id']}/refresh", made["primary"]["refresh"]["secret"]
        answers = at_once([lambda p=path, s=secret: send(server, "PUT", p, None, s)] * 8)  # type: ignore[misc]
        assert statuses(answers) == {200: 1, 409: 7}
        [won] = [answer["result"]["primary"] for status, answer in answers if status == 200]
        assert send(server, "GET", "/v1/accounts", None, won["access"]["secret"])[0] == 200
        assert send(server, "PUT", path, None, won["refresh"]["secret"])[0] == 200


def test_refresh__while_its_parent_is_deleted__leaves_none_that_works(server: Server) -> None:
    body = {"resources": {}, "permission_set": "administrator"}
    for _ in range(6):
        parent = ok(send(server, "POST", "/v1/tokens", body))
        child = ok(send(server, "POST", "/v1/tokens", body, parent["primary"]["access"]["secret"]))
        refreshed, deleted = at_once(
            [
                lambda c=child: send(  # type: ignore[misc]
                    server, "PUT", f"/v1/tokens/{c['id']}/refresh", None, c["primary"]["refresh"]["secret"]
                ),
                lambda p=parent: send(server, "DELETE", f"/v1/tokens/{p['id']}"),  # type: ignore[misc]
            ]
        )
        assert (refreshed[0] in (200, 401, 404), deleted[0]) == (True, 204), (refreshed, deleted)
        if refreshed[0] == 200:
            secret = refreshed[1]["result"]["primary"]["access"]["secret"]
            assert send(server, "GET", "/v1/accounts", None, secret)[0] == 401


def test_own_account__asked_for_at_once__is_made_once(server: Server) -> None:
    answers = at_once([lambda: send(server, "POST", "/v1/tokens/synqly-integrations", {})] * 8)
    assert statuses(answers) == {200: 8}
    assert len({answer["result"]["account_id"] for _, answer in answers}) == 1


def test_rename__to_each_other__never_makes_two_of_a_name(server: Server) -> None:
    number = next(_number)
    made = [ok(send(server, "POST", "/v1/accounts", {"name": f"twin-{number}-{n}"}))["account"] for n in range(6)]
    calls: list[Callable[[], Answer]] = [
        lambda m=m: send(server, "PUT", f"/v1/accounts/{m['id']}", {**m, "name": f"twin-{number}"})  # type: ignore[misc]
        for m in made
    ]
    answers = at_once(calls)
    assert statuses(answers) == {200: 1, 409: 5}


def test_calls__of_one_integration_at_once__are_all_counted(server: Server, account: str) -> None:
    config = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}
    made = ok(send(server, "POST", f"/v1/integrations/{account}", {"provider_config": config}))["integration"]
    verify, status = f"/v1/integrations/{account}/{made['id']}/verify", f"/v1/status/{account}/{made['id']}"
    assert statuses(at_once([lambda: send(server, "POST", verify)] * AT_ONCE)) == {200: AT_ONCE}
    assert ok(send(server, "GET", status))["requests"] == AT_ONCE + 1
    hours = ok(send(server, "GET", f"{status}/timeseries"))["series"]
    assert sum(hour["succeeded"] for hour in hours) == AT_ONCE + 1
