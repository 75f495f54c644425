"""Limits as callers meet them: who is counted under what, and what the answers say of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.conf import settings as configured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.errors import TooManyRequestsError
from core.limits import take
from core.limits.limiter import limiter
from core.limits.policies import read_limits
from identity.permissionsets.sets import Permissions
from identity.tokens.secrets import new_secret
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.core.test_limits import empty_table

Use = Callable[..., None]
HEADERS = ("RateLimit", "RateLimit-Policy", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
UNREACHED = {
    "stranger": ("address", 1000, 600),
    "token": ("token", 1000, 600),
    "organization": ("organization", 1000, 600),
}


@pytest.fixture
def use(settings: Any, tmp_path: Path, db: None) -> Iterator[Use]:
    """Turns limits on: rows given replace those that are not reached."""

    def use(**rows: tuple[str, int, int]) -> None:
        settings.LIMITS = read_limits(UNREACHED | rows)

    settings.DATA_DIR = tmp_path
    if connection.vendor == "postgresql":
        empty_table()
    yield use
    limiter.close()


def from_address(api: Api, address: str) -> Any:
    return api.get("/v1/accounts", headers={"X-Forwarded-For": address})


def policy_of(answer: Any) -> str:
    return str(answer.headers["RateLimit-Policy"]).partition(";")[0].strip('"')


def statuses(answers: list[Any]) -> list[int]:
    return [answer.status_code for answer in answers]


def test_token__limit_reached__is_a_429_and_others_go_on(acme: Api, use: Use) -> None:
    use(token=("token", 3, 600))
    other = acme.issue()
    answers = [acme.get("/v1/accounts") for _ in range(5)]
    assert statuses(answers) == [200, 200, 200, 429, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
    problem = assert_problem(answers[3], 429, "too-many-requests")
    assert "3 requests in 600 seconds for this token" in problem["message"]
    assert other.get("/v1/accounts").status_code == 200
    assert acme.post("/v1/accounts", {"name": "refused"}).status_code == 429
    assert [a["name"] for a in other.get("/v1/accounts").json()["result"]] == []


def test_answer__to_a_limited_request__says_what_is_left(acme: Api, use: Use) -> None:
    use(token=("token", 4, 600))
    missing = acme.get("/v1/accounts/missing")
    refused = acme.issue(Permissions.VIEWER).post("/v1/accounts", {"name": "refused"})
    malformed = acme.post("/v1/accounts", b"{")
    made = acme.post("/v1/accounts", {"name": "made"})
    assert statuses([missing, refused, malformed, made]) == [404, 403, 400, 200]
    assert [answer.headers["RateLimit"] for answer in (missing, malformed, made)] == [
        '"token";r=3;t=600', '"token";r=2;t=600', '"token";r=1;t=600',
    ]  # fmt: skip
    for answer in (missing, refused, malformed, made):
        assert answer.headers["RateLimit-Policy"] == '"token";q=4;w=600'
        assert answer.headers["X-RateLimit-Limit"] == "4"
        assert 595 < int(answer.headers["X-RateLimit-Reset"]) - time.time() < 602
        assert "Retry-After" not in answer.headers
    last, over = acme.get("/v1/accounts"), acme.get("/v1/accounts")
    assert (last.headers["RateLimit"], over.headers["RateLimit"]) == ('"token";r=0;t=600', '"token";r=0;t=600')
    assert over.headers["Retry-After"] == "600"
    assert orjson.loads(over.content)["status"] == 429


def test_answer__several_policies__names_the_one_nearest_its_end(acme: Api, use: Use) -> None:
    use(token=("token", 10, 600), organization=("organization", 12, 600))
    other = acme.issue()
    first = [policy_of(acme.get("/v1/accounts")) for _ in range(3)]
    second = [policy_of(other.get("/v1/accounts")) for _ in range(2)]
    assert (first, second) == (["token"] * 3, ["organization"] * 2)


def test_organization__limit_reached__is_all_its_tokens_and_no_neighbours(acme: Api, globex: Api, use: Use) -> None:
    use(organization=("organization", 4, 600))
    tokens = [acme, acme.issue(), acme.issue()]
    assert statuses([token.get("/v1/accounts") for token in tokens * 2]) == [200] * 4 + [429] * 2
    assert globex.get("/v1/accounts").status_code == 200


@pytest.mark.parametrize("token", [None, "", "no-token", "sqm_" + "0" * 65])
def test_stranger__limit_reached__is_a_429_for_the_address(nobody: Api, acme: Api, use: Use, token: str | None) -> None:
    use(stranger=("address", 3, 600))
    stranger = Api("", token)
    assert acme.get("/v1/accounts").status_code == 200
    answers = [stranger.get("/v1/accounts") for _ in range(5)]
    assert statuses(answers) == [401, 401, 401, 429, 429]
    assert_problem(answers[4], 429, "too-many-requests")
    assert [policy_of(answer) for answer in answers] == ["stranger"] * 5
    assert acme.get("/v1/accounts").status_code == 200  # a neighbour at the same address takes no harm
    assert policy_of(acme.get("/v1/accounts")) in ("token", "organization")


def test_stranger__limit_reached__costs_no_look_up_and_those_seen_before_go_on(
    acme: Api, use: Use, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = 1
    use(stranger=("address", 2, 600))
    known, unseen = acme.issue(), acme.issue()
    assert statuses([acme.get("/v1/accounts"), known.get("/v1/accounts")]) == [200, 200]
    assert statuses([Api("", new_secret()[1]).get("/v1/accounts") for _ in range(3)]) == [401, 401, 429]
    with CaptureQueriesContext(connection) as captured:
        assert_problem(Api("", new_secret()[1]).get("/v1/accounts"), 429, "too-many-requests")
        assert unseen.get("/v1/accounts").status_code == 429
    assert captured.captured_queries == []
    assert known.get("/v1/accounts").status_code == 200
    assert from_address(unseen, "192.0.2.1").status_code == 200
    assert unseen.get("/v1/accounts").status_code == 200
    assert acme.delete(f"/v1/tokens/{known.token_id}").status_code == 204
    assert known.get("/v1/accounts").status_code == 429  # it is looked up, and a stranger from now on


def test_stranger__token_deleted__is_one(acme: Api, use: Use) -> None:
    gone = acme.issue()
    assert acme.delete(f"/v1/tokens/{gone.token_id}").status_code == 204
    use(stranger=("address", 1, 600))
    assert statuses([gone.get("/v1/accounts") for _ in range(2)]) == [401, 429]


def test_stranger__address_made_up__is_the_peer(nobody: Api, use: Use) -> None:
    use(stranger=("address", 2, 600))
    headers = ({"X-Forwarded-For": f"192.0.2.{n}", "Forwarded": f"for=192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"}
               for n in range(4))  # fmt: skip
    assert statuses([nobody.get("/v1/accounts", headers=h) for h in headers]) == [401, 401, 429, 429]


def test_stranger__behind_a_trusted_proxy__is_whom_it_names(nobody: Api, use: Use, settings: Any) -> None:
    settings.TRUSTED_PROXIES = 1
    use(stranger=("address", 1, 600))
    named = ["192.0.2.1", "192.0.2.2", "9.9.9.9, 192.0.2.1", "2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"]
    assert statuses([from_address(nobody, each) for each in named]) == [401, 401, 429, 401, 429, 401]
    odd = ["not-an-address", "\x7f" * 5000, "[", "1.2.3.4.5", "'; --"]
    assert statuses([from_address(nobody, each) for each in odd]) == [401, 429, 429, 429, 429]


def test_surface__limited_by_address__counts_everybody_before_the_token(acme: Api, nobody: Api, use: Use) -> None:
    use(management=("address", 180, 60))
    answers = [(nobody, acme, acme)[number % 3].get("/v1/accounts") for number in range(180)]
    assert set(statuses(answers)) == {200, 401}
    assert {policy_of(answer) for answer in answers} == {"management"}
    over = [acme.get("/v1/accounts"), nobody.get("/v1/accounts"), acme.issue().get("/v1/accounts")]
    assert statuses(over) == [429] * 3
    assert all(1 <= int(answer.headers["Retry-After"]) <= 60 for answer in over)


@pytest.mark.parametrize("subject", ["token", "organization"])
def test_surface__limited_by_principal__counts_its_requests(acme: Api, nobody: Api, use: Use, subject: str) -> None:
    use(management=(subject, 2, 600))
    assert nobody.get("/v1/accounts").status_code == 401
    assert statuses([acme.get("/v1/accounts") for _ in range(3)]) == [200, 200, 429]
    assert acme.issue().get("/v1/accounts").status_code == (200 if subject == "token" else 429)


def test_pages__outside_the_api__are_not_limited(client: Client, nobody: Api, use: Use) -> None:
    use(stranger=("address", 1, 600))
    nobody.get("/v1/accounts")
    assert nobody.get("/v1/accounts").status_code == 429
    for path in ("/livez", "/docs", "/openapi.yaml", "/problems/too-many-requests"):
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert not any(name in answer.headers for name in HEADERS), path


def test_limits__off__are_not_mentioned(acme: Api) -> None:
    assert {policy.limit for policy in configured.LIMITS.values()} == {0}
    assert not any(name in acme.get("/v1/accounts").headers for name in HEADERS)


def test_take__subject_of_its_own__is_counted_apart(use: Use) -> None:
    use(logon=("member and address", 2, 300))
    assert [take("logon", "ann 192.0.2.1") for _ in range(2)] != [None, None]
    with pytest.raises(TooManyRequestsError, match="2 requests in 300 seconds for this member and address") as refused:
        take("logon", "ann 192.0.2.1")
    assert refused.value.headers == {"Retry-After": "300"}
    assert take("logon", "bob 192.0.2.1") is not None
    assert take("logon", "ann 192.0.2.2") is not None


@pytest.mark.parametrize("typed", ["\x00", "\ud800", "x" * 100_000, "🦆", "a b\nc", ""])
def test_take__subject_somebody_typed__is_counted_whatever_it_is(use: Use, typed: str) -> None:
    use(logon=("member and address", 1, 300))
    assert take("logon", typed) is not None
    with pytest.raises(TooManyRequestsError):
        take("logon", typed)
    assert take("logon", typed + "y") is not None


def test_take__policy_nobody_made__is_a_bug(use: Use) -> None:
    use()
    with pytest.raises(KeyError):
        take("unheard-of", "ann")


def test_schema__every_operation__has_the_429(acme: Api) -> None:
    document = acme.get("/v1/meta/openapi/management").json()
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["responses"]["429"] == {"$ref": "#/components/responses/TooManyRequests"}
    described = document["components"]["responses"]["TooManyRequests"]
    assert {*HEADERS, "Retry-After"} <= set(described["headers"])
    assert re.search("too-many-requests", str(described["content"]))
