"""Every member of every body with a value of every other type: refused at its place, whatever the database."""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from core.columns import new_id
from core.fields import NO_INSTANT
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import TOKEN_CONFIG, make_account, make_credential, make_point, ok, signed_inline

MAPPING = {
    "resource": "tickets",
    "actions": ["query"],
    "source": "a",
    "destination": "b",
    "literal": False,
    "data_type": "any",
}
SCHEDULE = {
    "operation": "edr_query_alerts",
    "enabled": True,
    "frequency": {"type": "periodic", "value": "1h"},
    "filters": ["a[eq]b"],
    "backfill_from_time": "7d",
    "incremental_config": {"mode": "incremental", "time_filter_field": "x"},
}
CHAIN = {"mappings": [], "operation_ids": ["ticketing_query_tickets"]}
WEBHOOKS = {
    "provider_key": "key",
    "items": [{"webhook_url": "https://x.example/", "event_filter": ["TicketCreated"], "integrator_key": "key"}],
}
RESOURCES = {
    "organizations": {"ids": ["*"]},
    "accounts": {"ids": ["*"], "labels": ["a"], "environments": ["test"]},
    "integrations": {"categories": ["ticketing"]},
}
TEMPLATES = {
    "mappings": [{**CHAIN, "providers": ["*"]}],
    "additional_mappings": [{**MAPPING, "providers": ["*"], "mapping_type": "fixed"}],
}
EDR = {"type": "edr_crowdstrike_mock", "dataset": "basic_v0"}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "account": (
        "/v1/accounts",
        {
            "name": "n",
            "fullname": "f",
            "environment": "test",
            "labels": ["a"],
            "token": {"permission_set": "connect-ui", "token_ttl": "1h", "name": "t", "fullname": "f"},
        },
    ),
    "token": (
        "/v1/tokens",
        {"name": "n", "fullname": "f", "permission_set": "viewer", "token_ttl": "1h", "resources": RESOURCES,
         "allowed_networks": ["203.0.113.0/24"]},
    ),
    "mcp token": (
        "/v1/tokens/mcp",
        {"token_ttl": "1h", "scope": {"type": "management", "environment": "test"}},
    ),
    "credential": (
        "/v1/credentials/{account}",
        {
            "name": "n",
            "fullname": "f",
            "owner_type": "account",
            "expires": "2999-01-01T00:00:00Z",
            "config": {"type": "aws_role", "role_arn": "a", "external_id": "b", "duration": 900},
        },
    ),
    "oauth": (
        "/v1/credentials/{account}",
        {"config": {"type": "o_auth_client", "token_url": "t", "client_id": "i", "client_secret": "s"}},
    ),
    "point": (
        "/v1/integration-points",
        {
            "name": "n",
            "fullname": "f",
            "description": "d",
            "connector": "edr",
            "environments": {"test": ["*"], "prod": ["*"]},
            "scheduled_operations": [SCHEDULE],
            **TEMPLATES,
        },
    ),
    "integration": (
        "/v1/integrations/{account}",
        {
            "name": "n",
            "fullname": "f",
            "provider_config": {**signed_inline(), "static_headers": {"X": "y"}, "timeout_seconds": 5},
            "bridge_selector": {"type": "labels", "value": ["a"]},
            "webhook_config": WEBHOOKS,
            "mappings": [CHAIN],
            "additional_mappings": [MAPPING],
        },
    ),
    "scheduled integration": (
        "/v1/integrations/{account}",
        {"provider_config": EDR, "scheduled_operations": [SCHEDULE]},
    ),
    "integration token": ("/v1/tokens/{account}/{integration}", {"name": "n", "token_ttl": "1h"}),
    "verification": ("/v1/integrations/{account}/verify", {"integration": {"provider_config": signed_inline()}}),
}  # fmt: skip
WRONG: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [0, 7, -1, 2**63 - 1, -(2**63)],
    "float": [0.5, -1.5, 1e300, 5e-324],
    "string": ["", "\u202e", "x" * 60_000],
    "array": [[], [[]], [None], [{}]],
    "object": [{}, {"a": {"b": {}}}, {"type": "x"}, {"": ""}],
}


def type_of(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def members(value: Any, pointer: str = "") -> Iterator[str]:
    """Every place in a value, outside in."""
    if pointer:
        yield pointer
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from members(inner, f"{pointer}/{name}")


def replaced(document: Any, pointer: str, value: Any) -> tuple[Any, Any]:
    """A copy with another value at a place, and what was there."""
    changed = copy.deepcopy(document)
    *steps, last = pointer.split("/")[1:]
    target: Any = changed
    for step in steps:
        target = target[int(step)] if isinstance(target, list) else target[step]
    key: Any = int(last) if isinstance(target, list) else last
    before, target[key] = target[key], value
    return changed, before


@pytest.fixture
def filled(acme: Api) -> dict[str, str]:
    account = make_account(acme, name="parent")["id"]
    mock = {"provider_config": {"type": "ticketing_mock_ticketing"}}
    integration = ok(acme.post(f"/v1/integrations/{account}", mock))["integration"]["id"]
    return {"account": account, "integration": integration}


@pytest.mark.parametrize("name", BODIES)
def test_member__of_another_type__is_refused_at_its_place(acme: Api, filled: dict[str, str], name: str) -> None:
    path, body = BODIES[name]
    path = path.format(**filled)
    for (number, pointer), (wrong_type, values) in itertools.product(enumerate(members(body)), WRONG.items()):
        wrong = values[number % len(values)]
        changed, before = replaced(body, pointer, wrong)
        if type_of(before) == wrong_type:
            continue
        problem = assert_problem(acme.post(path, changed), 400)
        at = problem["context"]["parameter"]["id"]
        assert at.startswith(pointer) or pointer.startswith(at), (pointer, wrong, at)


@pytest.mark.parametrize("name", BODIES)
def test_body__of_another_type__is_refused(acme: Api, filled: dict[str, str], name: str) -> None:
    path, _ = BODIES[name]
    for body in (b"null", b"true", b"0", b"-1e300", b'""', b"[]", b"[{}]", b"[[[[]]]]"):
        assert_problem(acme.post(path.format(**filled), body), 400)
    assert_problem(acme.post(path.format(**filled), b'{"a":' * 33 + b"1" + b"}" * 33), 400, "malformed-body")
    assert_problem(acme.post(path.format(**filled), b"[" * 200_000), 400, "malformed-body")
    assert_problem(acme.post(path.format(**filled), b'{"name":1,"name":2}'), 400, "malformed-body")
    assert_problem(acme.post(path.format(**filled), b'{"name":' + b"9" * 5000 + b"}"), 400, "malformed-body")


@pytest.mark.parametrize("name", ["account", "token", "credential", "point", "scheduled integration"])
def test_member__null__is_the_same_as_left_out(acme: Api, filled: dict[str, str], name: str) -> None:
    path, body = BODIES[name]
    path = path.format(**filled)
    for member in body:
        with_null = acme.post(path, {**body, "name": new_name(), member: None})
        without = acme.post(path, {k: v for k, v in {**body, "name": new_name()}.items() if k != member})
        if member == "token":
            assert with_null.status_code == without.status_code == 200
        elif name == "account":  # its token has a name, which is taken by now
            assert {with_null.status_code, without.status_code} <= {200, 409}
        else:
            assert with_null.status_code == without.status_code, (member, with_null.content)


_names = iter(range(1_000_000))


def new_name() -> str:
    return f"name-{next(_names)}"


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, instant",
    [
        ("2999-12-31T23:59:59.999999Z", "2999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59.000000Z"),
        ("2999-01-01T00:00:00+23:59", "2998-12-31T00:01:00.000000Z"),
        ("2999-01-01T00:00:00-23:59", "2999-01-01T23:59:00.000000Z"),
        ("2999-01-01t00:00:00z", "2999-01-01T00:00:00.000000Z"),
        ("2999-01-01 00:00:00Z", "2999-01-01T00:00:00.000000Z"),
        ("2999-01-01T00:00:00.1Z", "2999-01-01T00:00:00.100000Z"),
        ("2999-01-01T00:00:00.123456789Z", "2999-01-01T00:00:00.123456Z"),
        ("2996-02-29T00:00:00Z", "2996-02-29T00:00:00.000000Z"),
        ("9999-12-31T23:59:59-00:01", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("0001-01-01T00:00:00+00:01", None),
        ("0000-01-01T00:00:00Z", None),
        ("10000-01-01T00:00:00Z", None),
        ("-001-01-01T00:00:00Z", None),
        ("2999-02-29T00:00:00Z", None),
        ("2999-13-01T00:00:00Z", None),
        ("2999-01-01T24:00:00Z", None),
        ("2999-06-30T23:59:60Z", None),
        ("2999-01-01T00:00:00", None),
        ("2999-01-01T00:00:00+24:00", None),
        ("2999-01-01T00:00:00+0100", None),
        ("2999-01-01T00:00Z", None),
        ("2999-W01-1T00:00:00Z", None),
        ("29990101T000000Z", None),
        ("2999-01-01T00:00:00.Z", None),
        ("2999-01-01T00:00:00.1234567890Z", None),
        ("２９９９-01-01T00:00:00Z", None),  # noqa: RUF001 - digits, but not those of RFC 3339
        ("2999-01-01T00:00:00Z\n", None),
    ],
)
def test_time__in_a_body__is_kept_to_the_microsecond_or_refused(acme: Api, text: str, instant: str | None) -> None:
    account = make_account(acme)["id"]
    answer = acme.post(f"/v1/credentials/{account}", {"name": "c", "config": TOKEN_CONFIG, "expires": text})
    if instant is None:
        assert_problem(answer, 400, at="/expires")
        return
    assert ok(answer)["expires"] == instant
    assert ok(acme.get(f"/v1/credentials/{account}/c"))["expires"] == instant
    for op, count in (("eq", 1), ("gte", 1), ("gt", 0), ("ne", 0), ("in", 1)):
        found = ok(acme.get(f"/v1/credentials/{account}", query={"filter": f"expires[{op}]{instant}"}))
        assert len(found) == count, op


@pytest.mark.parametrize(
    "text, count",
    [
        ("0001-01-01", 1), ("0001-01-01T00:00:00Z", 1), ("9999-12-31", 0), ("9999-12-31T23:59:59.999999Z", 0),
        ("0001-01-01T00:00:00-23:59", 1), ("9999-12-31T23:59:59+23:59", 0),
        ("0001-01-01T00:00:00+00:01", None), ("9999-12-31T23:59:59-00:01", None), ("0000-01-01", None),
        ("20200101", None), ("2020-W01-1", None), ("2020-001", None), ("2020-01-01T00", None),
        ("2020-01-01T00:00Z", None), ("2020-01-01T00:00:00", None), ("2020-01-01T00:00:00+0100", None),
        ("2020-01-01t00:00:00.123456789z", 1), ("2020-01-01 ", None), ("2020-01-01 00:00:00Z", 1),
        ("2026-02-30", None), ("2026-01-01T23:59:60Z", None), ("now", None), ("1767225600", None), ("infinity", None),
        ("-infinity", None), ("epoch", None), ("today", None), ("allballs", None),
    ],
)  # fmt: skip
def test_time__in_a_filter__means_the_same_on_both_databases(acme: Api, text: str, count: int | None) -> None:
    make_account(acme)
    answer = acme.get("/v1/accounts", query={"filter": f"created_at[gt]{text}"})
    if count is None:
        assert_problem(answer, 400, at="filter")
    else:
        assert len(ok(answer)) == count


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z", "0001-01-01T00:00:00+00:00"])
def test_time__that_stands_for_none__skips_the_lock(acme: Api, text: str) -> None:
    made = make_account(acme, name="north")
    assert dt.datetime.fromisoformat(text) == NO_INSTANT
    ok(acme.put("/v1/accounts/north", {**made, "updated_at": text, "fullname": "Renamed"}))
    again = acme.put("/v1/accounts/north", {**made, "fullname": "Lost"})
    assert_problem(again, 409, "stale-object", at="/updated_at")


# --- size ----------------------------------------------------------------------------------------


def test_body__of_many_errors__is_answered_with_a_bounded_problem(acme: Api) -> None:
    started = time.process_time()
    answers = [
        acme.post("/v1/accounts", {f"member{i}": i for i in range(5_000)}),
        acme.post("/v1/accounts", {"labels": [{}] * 19_000}),
        acme.post("/v1/integration-points", {"connector": "edr", "environments": {}, "mappings": [{}] * 19_000}),
        acme.post("/v1/accounts", {"x" * 60_000: 1}),
        acme.post("/v1/tokens", {"permission_set": "viewer", "resources": {"accounts": {"ids": [new_id()] * 100}}}),
        acme.post("/v1/integration-points", {"connector": "edr", "environments": {"test": ["x"] * 250}}),
    ]
    account = make_account(acme)["id"]
    config = {"type": "sink_http", "url": "https://x.example", **{f"member{i}": "hush" for i in range(5_000)}}
    answers.append(acme.post(f"/v1/integrations/{account}", {"provider_config": config}))
    assert time.process_time() - started < 2  # all of them; seconds each when every member has its error
    for answer in answers:
        assert_problem(answer, 400)
        assert len(answer.content) < 256 * 1024


def test_secret__of_the_longest__is_kept_and_one_more_refused(acme: Api) -> None:
    account = make_account(acme)["id"]
    make_credential(acme, account, {"type": "token", "secret": "x" * 65_536})
    longer = {"config": {"type": "token", "secret": "x" * 65_537}}
    assert_problem(acme.post(f"/v1/credentials/{account}", longer), 400, "malformed-body")
    make_point(acme, description="x" * 2048)
