"""What guessing costs: at a password by name and address, at a second factor by member."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.test import Client

from identity.sessions.attempts import (
    FIRST_WAIT,
    FREE,
    TooManyFailuresError,
    attempt_key,
    count_failure,
    forgive,
    refuse_waiting,
)
from tests.api import JSON, Api
from tests.contract.problems import assert_problem, without_identity
from tests.identity.test_member import SECRET, make_member
from tests.identity.test_session import OTHER, enrol, try_log_on


def test_guessing__one_name_from_one_address__waits_longer_each_time(db: None) -> None:
    key, now, waits = attempt_key("acme", "ada", address="192.0.2.1"), 1_000_000, []
    for _ in range(FREE + 12):
        count_failure(key, now=now)
        try:
            count_failure(key, now=now)
        except TooManyFailuresError as refused:
            waits.append(int(refused.headers["Retry-After"]))
            now += waits[-1]
    assert waits[0] == FIRST_WAIT
    assert waits == sorted(waits)
    assert waits[-1] == 900
    count_failure(key, now=now + 3601)
    count_failure(key, now=now + 3601)  # an hour without failures is a new start


def test_guessing__another_address__is_not_slowed(acme: Api) -> None:
    make_member(acme)
    for _ in range(FREE):
        assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")
    blocked = try_log_on(acme)
    assert_problem(blocked, 429, "too-many-failures")
    assert int(blocked.headers["Retry-After"]) >= 1
    keys = {attempt_key("a", address=each) for each in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")}
    assert len(keys) == 3  # of IPv6 the /64


def test_guessing__unknown_name__is_slowed_the_same(acme: Api) -> None:
    make_member(acme)
    answers = {}
    for name in ("ada@example.com", "eve@example.com"):
        answers[name] = [try_log_on(acme, name, OTHER) for _ in range(FREE + 1)]
    for known, unknown in zip(*answers.values(), strict=True):
        for answer in (known, unknown):
            answer.headers.pop("Retry-After", None)  # counts down
        assert without_identity(known) == without_identity(unknown)


def test_guessing__right_at_last__is_forgiven(acme: Api) -> None:
    make_member(acme)
    for _ in range(2):
        for _ in range(FREE - 1):
            assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")
        assert try_log_on(acme).status_code == 200


def test_guessing__right_ones_at_the_same_time__are_no_failures(db: None) -> None:
    """Each is looked at before any of them is answered."""
    key = attempt_key("acme", "ada", address="192.0.2.1")
    for _ in range(FREE + 1):
        refuse_waiting(key)
    for _ in range(FREE + 1):
        forgive(key)


def test_guessing__many_at_the_same_time__is_answered_as_in_a_row(db: None) -> None:
    key, now = attempt_key("acme", "ada", address="192.0.2.1"), 1_000_000
    for _ in range(FREE):
        count_failure(key, now=now)
    for answer in (count_failure, forgive, refuse_waiting):
        with pytest.raises(TooManyFailuresError):
            answer(key, now=now)
    forgive(key, now=now + FIRST_WAIT)
    refuse_waiting(key, now=now)


def guess_code(api: Api, address: str, code: str = "000000", secret: str = SECRET) -> Any:
    body = orjson.dumps({"name": "ada@example.com", "secret": secret, "code": code})
    return Client().post(f"/v1/auth/logon/{api.id}", body, content_type=JSON, REMOTE_ADDR=address)


def test_guessing__codes_from_many_addresses__are_counted_together(acme: Api) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    _, recovery = enrol(session)
    answers = [guess_code(acme, f"198.51.100.{number}") for number in range(1, FREE + 2)]
    assert [answer.status_code for answer in answers] == [401] * FREE + [429]
    assert_problem(guess_code(acme, "198.51.100.99", recovery[0]), 429, "too-many-failures")
    assert_problem(session.post("/v1/auth/second_factor/remove", {"code": recovery[0]}), 429, "too-many-failures")


def test_guessing__codes_without_the_password__make_nobody_wait(acme: Api) -> None:
    make_member(acme)
    _, recovery = enrol(acme.log_on("ada@example.com", SECRET))
    for number in range(1, FREE + 2):
        assert_problem(guess_code(acme, f"198.51.100.{number}", secret=OTHER), 401, "logon-failed")
    assert guess_code(acme, "198.51.100.99", recovery[0]).status_code == 200
