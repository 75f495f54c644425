"""Records of scheduled operations, as the mappings of their integration make them."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.adapters.interface import Record
from core.tenancy import scoped
from integrations.models import Integration
from integrations.operations.mapping import find_transformation, resource_and_action
from integrations.schedules import OPERATIONS
from tests.api import Api
from tests.integrations.operations.worked import MOCK, SINK, history, kept, schedule, soon, work_at
from tests.objects import make_account, make_integration, ok

OPERATION = "assets_query_devices"


def test_chain__of_the_operation__makes_what_is_written(acme: Api) -> None:
    data = "{device: $, seen: 'true'}"
    ok(acme.post("/v1/mappings", {"name": "wrapped", "data": data}))
    account = make_account(acme)
    make_integration(acme, account["id"], SINK)
    chain = {"mappings": ["wrapped"], "operation_ids": [OPERATION]}
    make_integration(acme, account["id"], MOCK, scheduled_operations=[schedule()], mappings=[chain])
    assert work_at(soon()) == 1
    (done,) = history(acme)
    assert done["status"] == "COMPLETE", done
    written = kept(acme)
    assert len(written) == done["records_processed"] > 0
    assert all(set(record.data) == {"device", "seen"} and record.data["seen"] is True for record in written)


def test_chain__that_fails__leaves_nothing_written(acme: Api) -> None:
    ok(acme.post("/v1/mappings", {"name": "broken", "data": "{a: '$number(\"x\")'}"}))
    account = make_account(acme)
    make_integration(acme, account["id"], SINK)
    chain = {"mappings": ["broken"], "operation_ids": [OPERATION]}
    make_integration(acme, account["id"], MOCK, scheduled_operations=[schedule()], mappings=[chain])
    assert work_at(soon()) == 1
    (done,) = history(acme)
    assert done["status"] == "CANCELLED"
    assert "broken" in done["error"]
    assert kept(acme) == []


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
