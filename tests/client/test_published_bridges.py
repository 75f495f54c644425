"""Bridges through the published client: every operation, and what integrations say of the bridge they select."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import NotFoundError
from synqly.management.integrations import BridgeSelector_Id, BridgeSelector_Labels

from tests.client.published import Published, exercises, members, new_name


@exercises(
    "GET /v1/bridges/{account_id}",
    "POST /v1/bridges/{account_id}",
    "GET /v1/bridges/{account_id}/{bridge_id}",
    "PUT /v1/bridges/{account_id}/{bridge_id}",
    "PATCH /v1/bridges/{account_id}/{bridge_id}",
    "DELETE /v1/bridges/{account_id}/{bridge_id}",
    "GET /v1/bridges/{account_id}/{bridge_id}/status",
)
def test_bridge__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    account, name = published.accounts.create(name=new_name("north")).result.account, new_name("bridge")
    made = published.bridges.create(account.id, name=name, description="The lab.", labels=["lab", "site:1"]).result
    assert made.credential.count(".") == 2
    bridge = made.bridge
    assert (bridge.name, bridge.fullname, bridge.labels) == (name, name, ["lab", "site:1"])
    assert published.bridges.get(account.name, name).result == bridge
    assert published.bridges.list(account.id, filter="labels[eq]lab", order="created_at[desc]").result == [bridge]
    assert published.bridges.list(account.id, filter="labels[eq]attic").result == []
    assert published.bridges.get_status(account.id, bridge.id).result == []
    whole = members(bridge) | {"fullname": "The attic", "labels": ["attic"]}
    updated = published.bridges.update(account.id, bridge.id, **whole).result
    assert (updated.fullname, updated.labels, updated.description) == ("The attic", ["attic"], "The lab.")
    assert published.bridges.list(account.id, filter="labels[eq]attic").result == [updated]
    request = [{"op": "remove", "path": "/labels"}, {"op": "remove", "path": "/description"}]
    patched = published.bridges.patch(account.id, bridge.id, request=request).result
    assert (patched.labels, patched.description) == (None, None)
    published.bridges.delete(account.id, bridge.id)
    with pytest.raises(NotFoundError):
        published.bridges.get_status(account.id, bridge.id)


@exercises("POST /v1/integrations/{account_id}")
def test_bridge_selector__either_shape__is_the_clients_model(published: Published) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    bridge = published.bridges.create(account.id).result.bridge
    config = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}
    for selector in (BridgeSelector_Id(value=bridge.id), BridgeSelector_Labels(value=["lab"])):
        made = published.integrations.create(account.id, provider_config=config, bridge_selector=selector).result
        assert made.integration.bridge_selector == selector
