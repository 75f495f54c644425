"""Bridges: their labels, their credential, and the integrations that select them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from core.tenancy import scoped
from integrations.bridges.models import Bridge, BridgeLabel
from tests.api import Api
from tests.contract.examples import HERE, parent_account, parent_point

MOCK = {"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"}


def new_bridge(api: Api, **body: Any) -> tuple[dict[str, Any], str]:
    """A bridge and its credential."""
    answer = api.post(f"/v1/bridges/{parent_account(api)}", body)
    assert answer.status_code == 200, answer.content
    result = answer.json()["result"]
    return result["bridge"], result["credential"]


def part_of(credential: str, at: int) -> dict[str, Any]:
    part = credential.split(".")[at]
    shown: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return shown


def connect(api: Api, selector: Any, **body: Any) -> Any:
    given = {"provider_config": MOCK, "bridge_selector": selector, **body}
    return api.post(f"/v1/integrations/{parent_account(api)}", given)


def test_credential__of_a_new_bridge__says_what_its_agents_need_and_is_not_shown_again(acme: Api) -> None:
    bridge, credential = new_bridge(acme)
    assert part_of(credential, 0)["alg"] == "HS256"
    claims = part_of(credential, 1)
    assert (claims["sub"], claims["organization_id"]) == (bridge["id"], acme.id)
    assert claims["account_id"] == parent_account(acme)
    assert claims["aud"] == "synqmgr-bridge"
    assert claims["iss"].startswith("http")
    assert claims["exp"] - claims["iat"] == 365 * 24 * 3600
    shown = acme.get(f"/v1/bridges/{parent_account(acme)}/{bridge['id']}").json()["result"]
    assert shown == bridge
    assert "credential" not in shown


def test_labels__changed_and_removed__are_found_as_they_are(acme: Api) -> None:
    bridge, _ = new_bridge(acme, labels=["lab", "lab", "site:1"])
    assert bridge["labels"] == ["lab", "site:1"]
    url = f"/v1/bridges/{parent_account(acme)}"
    acme.patch(f"{url}/{bridge['id']}", [{"op": "replace", "path": "/labels/0", "value": "attic"}])

    def found(label: str) -> int:
        return len(acme.get(url, query={"filter": f"labels[eq]{label}"}).json()["result"])

    assert (found("lab"), found("attic"), found("site:1")) == (0, 1, 1)
    acme.delete(f"{url}/{bridge['id']}")
    with scoped(acme.scope):
        assert not BridgeLabel.objects.exists()


@pytest.mark.parametrize(
    ("labels", "at"), [(["a b"], "/labels/0"), (["x" * 49], "/labels/0"), ("lab", "/labels"), ([1], "/labels/0")]
)
def test_labels__malformed__are_refused_at_their_place(acme: Api, labels: Any, at: str) -> None:
    refused = acme.post(f"/v1/bridges/{parent_account(acme)}", {"labels": labels})
    assert refused.status_code == 400
    assert refused.json()["context"]["parameter"]["id"] == at


def test_selector__bridge_of_another_account__does_not_exist(acme: Api, globex: Api) -> None:
    elsewhere = acme.post("/v1/accounts", {"name": "elsewhere"}).json()["result"]["account"]["id"]
    other = acme.post(f"/v1/bridges/{elsewhere}", {}).json()["result"]["bridge"]
    foreign, _ = new_bridge(globex)
    for bridge in (other, foreign):
        refused = connect(acme, {"type": "id", "value": bridge["id"]})
        assert refused.status_code == 400
        assert refused.json()["context"]["parameter"]["id"] == "/bridge_selector/value"


def test_selector__of_a_bridge_that_was_deleted__stays_until_it_is_changed(acme: Api) -> None:
    bridge, _ = new_bridge(acme)
    made = connect(acme, {"type": "id", "value": bridge["id"]}).json()["result"]["integration"]
    assert acme.delete(f"/v1/bridges/{parent_account(acme)}/{bridge['id']}").status_code == 204
    url = f"/v1/integrations/{parent_account(acme)}/{made['id']}"
    renamed = acme.patch(url, [{"op": "replace", "path": "/fullname", "value": "Renamed"}])
    assert renamed.json()["result"]["bridge_selector"]["value"] == bridge["id"]
    removed = acme.patch(url, [{"op": "remove", "path": "/bridge_selector"}])
    assert "bridge_selector" not in removed.json()["result"]


def test_selector__with_the_points_own_credential__is_refused(acme: Api) -> None:
    """An agent sees what it relays, and the point's credential is not the account's to see."""
    point_id = parent_point(acme)
    body = {"owner_type": "integration_point", "config": {"type": "token", "secret": "hush"}}
    lent = acme.post(f"/v1/credentials/{point_id}", body)
    config = {**HERE.provider_config, "credential": {"type": "token_id", "value": lent.json()["result"]["id"]}}
    given = {"provider_config": config, "integration_point_id": point_id}
    refused = connect(acme, {"type": "labels", "value": ["lab"]}, **given)
    assert refused.status_code == 403
    assert refused.json()["context"]["parameter"]["id"] == "/provider_config/credential"
    url = f"/v1/integrations/{parent_account(acme)}"
    made = acme.post(url, given).json()["result"]["integration"]
    selector = {"type": "labels", "value": ["lab"]}
    patch = [{"op": "add", "path": "/bridge_selector", "value": selector}]
    assert acme.patch(f"{url}/{made['id']}", patch).status_code == 403
    assert acme.post(f"{url}/verify", {"integration": {**given, "bridge_selector": selector}}).status_code == 403


def test_selector__changed_alone__asks_the_provider_again(acme: Api) -> None:
    config = {**HERE.provider_config, "credential": {"type": "token", "secret": "hush"}}
    made = connect(acme, None, provider_config=config).json()["result"]["integration"]
    url = f"/v1/integrations/{parent_account(acme)}/{made['id']}"
    selector = {"type": "labels", "value": ["lab"]}
    changed = acme.patch(url, [{"op": "add", "path": "/bridge_selector", "value": selector}]).json()
    assert [p["type"] for p in changed["messages"]["problems"]] == ["/problems/bridge-unavailable"]
    renamed = acme.patch(url, [{"op": "replace", "path": "/fullname", "value": "Renamed"}]).json()
    assert "messages" not in renamed


def test_account__deleted__takes_its_bridges(acme: Api) -> None:
    new_bridge(acme, labels=["lab"])
    assert acme.delete(f"/v1/accounts/{parent_account(acme)}").status_code == 204
    with scoped(acme.scope):
        assert not Bridge.objects.exists()
