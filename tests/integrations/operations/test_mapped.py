"""Records of scheduled operations, as the mappings of their integration make them."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.adapters import mock
from catalog.adapters.interface import Record
from catalog.mappings import evaluation, services
from core.instants import format_instant
from core.tenancy import scoped
from integrations.models import Integration
from integrations.operations import runner
from integrations.operations.mapping import find_transformation, resource_and_action
from integrations.schedules import OPERATIONS
from tests.api import Api
from tests.integrations.operations.worked import (
    HOUR,
    MOCK,
    SINK,
    due,
    executions,
    history,
    jobs,
    kept,
    schedule,
    soon,
    work_at,
)
from tests.objects import make_account, make_integration, ok

OPERATION = "assets_query_devices"


def make_mapped(api: Api, data: str, operation: str = OPERATION) -> None:
    """An integration whose records a mapping goes over."""
    ok(api.post("/v1/mappings", {"name": "mapped", "data": data}))
    account = make_account(api)
    make_integration(api, account["id"], SINK)
    chain = {"mappings": ["mapped"], "operation_ids": [operation]}
    make_integration(api, account["id"], MOCK, scheduled_operations=[schedule(operation)], mappings=[chain])


def test_chain__of_the_operation__makes_what_is_written(acme: Api) -> None:
    make_mapped(acme, "{device: $, seen: 'true'}")
    assert work_at(soon()) == 1
    (done,) = history(acme)
    assert done["status"] == "COMPLETE", done
    written = kept(acme)
    assert len(written) == done["records_processed"] > 0
    assert all(set(record.data) == {"device", "seen"} and record.data["seen"] is True for record in written)


def test_chain__that_fails__leaves_nothing_written(acme: Api) -> None:
    make_mapped(acme, "{a: '$number(\"x\")'}")
    assert work_at(soon()) == 1
    (done,) = history(acme)
    assert done["status"] == "CANCELLED"
    assert "mapped" in done["error"]
    assert kept(acme) == []


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second goes by whenever an attempt looks at the time: about one for each record."""
    seconds = itertools.count()
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


@pytest.mark.usefixtures("ticking")
def test_mapping__slower_than_an_attempt_may_be__goes_on_with_the_next_execution(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_SECONDS", 1.5 * mock.PAGE_SIZE)
    make_mapped(acme, "{device: $}", "assets_query_alerts")
    start = soon()
    assert [work_at(start + dt.timedelta(minutes=n)) for n in range(6)] == [1, 1, 1, 1, 1, 0]
    done = executions(acme)
    assert [each.records_processed for each in done][:4] == [mock.PAGE_SIZE] * 4
    assert {each.status for each in done} == {"COMPLETE"}
    assert done[-1].final_cursor == format_instant(start)
    assert len({row.record_id for row in kept(acme)}) == len(kept(acme)) == sum(e.records_processed for e in done)


@pytest.mark.usefixtures("ticking")
def test_mapping__too_slow_for_one_page__ends_the_execution_with_the_reason(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "MOST_SECONDS", 0.5 * mock.PAGE_SIZE)
    make_mapped(acme, "{device: $}")
    now = soon()
    assert work_at(now) == 1
    (done,) = history(acme)
    assert (done["status"], kept(acme)) == ("CANCELLED", [])
    assert done["error"].startswith("the mappings of the 100 records of one page take more than 50 seconds")
    assert due(acme) == now + 4 * HOUR


def test_mapping__that_cannot_be_evaluated_now__is_tried_again(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    make_mapped(acme, "{device: $}")
    now = soon()
    with monkeypatch.context() as patched:
        patched.setattr(services, "POOL", evaluation.Pool())
        patched.setattr(evaluation, "SCRIPT", Path("/nowhere"))
        assert work_at(now) == 1
    assert (history(acme), kept(acme)) == ([], [])
    assert "cannot be evaluated now; tried again at" in jobs(acme)[0]["errors"][0]["message"]
    assert work_at(due(acme)) == 1
    assert history(acme)[0]["status"] == "COMPLETE"


def test_mapping__of_many_records__is_looked_up_once(acme: Api) -> None:
    make_mapped(acme, "{device: $}")
    with CaptureQueriesContext(connection) as queries:
        assert work_at(soon()) == 1
    assert len(kept(acme)) > mock.PAGE_SIZE
    assert sum('FROM "catalog_mapping' in query["sql"] for query in queries) == 2


def test_chains__several_of_an_operation__are_applied_one_after_the_other(acme: Api) -> None:
    for name, data in (("first", "{seen: 'true'}"), ("second", "{was: seen}")):
        ok(acme.post("/v1/mappings", {"name": name, "data": data}))
    chains = [{"mappings": [name], "operation_ids": [OPERATION]} for name in ("first", "second")]
    integration = Integration(mappings=chains)
    with scoped(acme.scope):
        record = find_transformation(integration=integration, operation=OPERATION).apply(Record("1", None, {}))
    assert record.data == {"was": True}


def additional(**members: Any) -> dict[str, Any]:
    usual = {"resource": "devices", "actions": ["query"], "source": "a.b", "destination": "x", "data_type": "any"}
    return usual | members


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({}, {"x": 5}),
        ({"data_type": "string"}, {"x": "5"}),
        ({"data_type": "array"}, {"x": [5]}),
        ({"source": "n", "data_type": "number"}, {"x": 12}),
        ({"source": "t", "data_type": "datetime"}, {"x": "2026-01-31T12:00:00.000000Z"}),
        ({"source": "f", "data_type": "boolean"}, {"x": True}),
        ({"source": "l.1.c", "destination": "deep.er"}, {"deep": {"er": "second"}}),
        ({"source": "constant", "literal": True}, {"x": "constant"}),
        ({"source": "a.missing"}, None),
        ({"source": "t", "data_type": "number"}, None),
        ({"resource": "alerts"}, None),
        ({"actions": ["create"]}, None),
    ],
)
def test_additional_mapping__of_each_type__fills_custom_fields(
    acme: Api, mapping: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    data = {"a": {"b": 5}, "n": "12", "t": "2026-01-31T12:00:00Z", "f": "True", "l": [{}, {"c": "second"}]}
    integration = Integration(mappings=None, additional_mappings=[additional(**mapping)])
    with scoped(acme.scope):
        record = find_transformation(integration=integration, operation=OPERATION).apply(Record("1", None, data))
    assert record.data == (data if expected is None else {**data, "custom_fields": expected})


def test_resource__of_every_operation__is_known() -> None:
    found = {operation: resource_and_action(operation) for operation in OPERATIONS}
    assert {action for _, action in found.values()} == {"query"}
    unknown = {operation for operation, (resource, _) in found.items() if not resource}
    assert unknown == {"assets_query_utilization", "assets_query_vulnerabilities", "cloudsecurity_query_ioms",
                       "edr_query_endpoints", "vulnerabilities_query_assets"}  # fmt: skip
