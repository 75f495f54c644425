"""Operations and their history through the published client, carried out by a worker of its own."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from synqly.management.common import BadRequestError
from synqly.management.operation_base import OperationStatus
from synqly.management.operation_history import OperationTriggerType
from synqly.management.operation_schedules import OperationFrequency_Periodic, OperationSchedule
from synqly.management.providers_generated import ProviderConfig_AssetsAxoniusMock, ProviderConfig_SinkMockSink

from tests.client.published import Published, exercises, new_name
from tests.server import ROOT, Server

SECONDS_TO_RUN = 30


@contextlib.contextmanager
def working(server: Server) -> Iterator[None]:
    """A worker beside the server."""
    with (server.folder / "worker.log").open("ab") as log:
        command = [sys.executable, "manage.py", "run_worker", "--threads=2"]
        worker = subprocess.Popen(command, cwd=ROOT, env=server.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(timeout=30)


def schedule(operation: str, **members: Any) -> Any:
    frequency = OperationFrequency_Periodic(value="4h")
    return OperationSchedule(operation=operation, enabled=True, frequency=frequency, **members)


def ended(published: Published, account_id: str, number: int) -> list[Any]:
    """The history of an account, once it has so many executions."""
    until = time.monotonic() + SECONDS_TO_RUN
    while True:
        found = published.operations.list_execution_history(filter=f"account_id[eq]{account_id}").result
        if len(found) >= number or time.monotonic() > until:
            return list(found)
        time.sleep(0.2)


@exercises("GET /v1/jobs", "GET /v1/jobs/history")
def test_operations__from_schedule_to_history__are_the_clients_models(
    published: Published, live_server_process: Server
) -> None:
    account = published.accounts.create(name=new_name("north"), environment="test").result.account
    sink = published.integrations.create(
        account.id, name="sink", provider_config=ProviderConfig_SinkMockSink()
    ).result.integration
    made = published.integrations.create(
        account.id,
        name="assets",
        provider_config=ProviderConfig_AssetsAxoniusMock(dataset="basic_v0"),
        scheduled_operations=[
            schedule("assets_query_devices", backfill_from_time="max", filters=["device.os.type[eq]linux"]),
            schedule("assets_query_alerts", backfill_from_time="7d", filters=["mock.fault[eq]expired_token"]),
        ],
    ).result.integration
    of_account = f"account_id[eq]{account.id}"
    devices, alerts = published.operations.list(filter=of_account, order="operation[desc]").result
    assert (devices.operation, devices.input.filters) == ("assets_query_devices", ["device.os.type[eq]linux"])
    assert (devices.integration_id, devices.output_integration_id) == (made.id, sink.id)
    assert devices.status == alerts.status == OperationStatus.SCHEDULED

    with working(live_server_process):
        assert len(ended(published, account.id, 2)) == 2
    (read,) = published.operations.list_execution_history(filter=f"id[eq]{devices.id}").result
    (refused,) = published.operations.list_execution_history(
        filter=[of_account, "operation_id[eq]assets_query_alerts"], order="started_at[asc]", limit=5
    ).result
    assert (read.status, read.trigger_type) == (OperationStatus.COMPLETE, OperationTriggerType.SCHEDULED)
    assert read.records_processed > 10
    assert read.in_bytes > 1000
    assert read.started_at < read.completed_at
    assert read.cursor_advanced_to < read.started_at
    assert (refused.status, refused.records_processed) == (OperationStatus.CANCELLED, 0)
    assert "expired" in refused.error
    after = {each.operation: each for each in published.operations.list(filter=of_account).result}
    assert after["assets_query_devices"].in_bytes == read.in_bytes
    assert after["assets_query_alerts"].errors[0].message == refused.error

    page = published.operations.list(filter=of_account, limit=1).result
    rest = published.operations.list(filter=of_account, start_after=page[-1].id).result
    assert {page[0].id, *(each.id for each in rest)} == {devices.id, alerts.id}
    published.integrations.patch(
        account.id, made.id, request=[{"op": "replace", "path": "/scheduled_operations/1/enabled", "value": False}]
    )
    (disabled,) = published.operations.list(filter=[of_account, "status[eq]DISABLED"]).result
    assert (disabled.id, disabled.errors[0].message) == (alerts.id, "the schedule is not enabled")
    with pytest.raises(BadRequestError):
        published.operations.list_execution_history(filter="name[eq]x")
