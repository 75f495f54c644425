"""Custom providers through the published client: defined, found in the catalog, integrated and verified."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import json
from typing import Any

import pytest
from synqly.management.common import BadRequestError, ConflictError, NotFoundError
from synqly.management.common.types import PatchOperation

from tests.catalog.definitions import DEFINITION, changed, text_of
from tests.catalog.provider_server import Answer, Asked, serve
from tests.client.published import Published, exercises, members, new_name


@exercises(
    "GET /v1/customs",
    "POST /v1/customs",
    "GET /v1/customs/{custom_id}",
    "PUT /v1/customs/{custom_id}",
    "PATCH /v1/customs/{custom_id}",
    "DELETE /v1/customs/{custom_id}",
)
def test_custom__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("desk")
    made = published.customs.create(name=name, fullname="Help desk", data=text_of(DEFINITION)).result.custom
    assert published.customs.get(name).result == published.customs.get(made.id).result == made
    data = text_of(changed(vendor="Other"))
    updated = published.customs.update(made.id, **members(made) | {"data": data}).result
    assert json.loads(updated.data)["vendor"] == "Other"
    request = [PatchOperation(op="replace", path="/fullname", value="Desk")]
    patched = published.customs.patch(name, request=request).result
    listed = published.customs.list(filter=f"name[eq]{name}", total=True)
    assert (listed.result, listed.total) == ([patched], 1)
    with pytest.raises(BadRequestError):
        published.customs.create(data="name: nothing else")
    published.customs.delete(made.id)
    with pytest.raises(NotFoundError):
        published.customs.get(made.id)


def answer(asked: Asked) -> Answer:
    good = asked.headers.get("Authorization") == "Bearer right" and asked.target == "/me"
    return (200, {"name": "ann"}) if good else (401, {})


def test_custom__in_the_catalog__is_integrated_and_verified(published: Published) -> None:
    name = new_name("desk")
    custom = published.customs.create(name=name, data=text_of(DEFINITION)).result.custom
    provider = published.capabilities.get_provider(custom.id, expand="provider_config").result
    assert (provider.name, provider.fullname, provider.connector) == (name, "Help desk", "custom")
    assert custom.id in [each.id for each in published.capabilities.list_providers().result]
    connectors = {each.id: each for each in published.capabilities.list_connectors(expand="providers").result}
    assert custom.id in connectors["custom"].provider_ids
    assert custom.id in [each.id for each in connectors["custom"].providers]

    account = published.accounts.create(name=new_name("account")).result.account
    with serve(answer) as server:

        def config(secret: str) -> dict[str, Any]:
            credential = {"type": "token", "secret": secret}
            endpoints = {"default": {"credential": credential, "url": server.url}}
            return {"type": "custom_synqly", "custom_id": name, "endpoints": endpoints, "tags": {"site": "north"}}

        made = published.integrations.create(account.id, provider_config=config("right"))
        assert made.messages is None
        assert made.result.integration.provider_config.custom_id == custom.id
        doubted = published.integrations.verify(account.id, integration={"provider_config": config("wrong")})
        assert [each.type for each in doubted.messages.problems] == ["/problems/credential-rejected"]
    with pytest.raises(ConflictError):
        published.customs.delete(name)
    published.accounts.delete(account.id)
    published.customs.delete(name)
