"""Mappings through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import ConflictError, NotFoundError
from synqly.management.common.types import PatchOperation

from tests.client.published import Published, exercises, members, new_name


@exercises(
    "GET /v1/mappings",
    "POST /v1/mappings",
    "GET /v1/mappings/{mapping_id}",
    "PUT /v1/mappings/{mapping_id}",
    "PATCH /v1/mappings/{mapping_id}",
    "DELETE /v1/mappings/{mapping_id}",
)
def test_mapping__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("tickets")
    made = published.mappings.create(name=name, fullname="Tickets", data="title: summary\n").result.mapping
    assert published.mappings.get(name).result == published.mappings.get(made.id).result == made
    updated = published.mappings.update(made.id, **members(made) | {"data": "title: key\n"}).result
    assert updated.data == "title: key\n"
    with pytest.raises(ConflictError):
        published.mappings.update(made.id, **members(made))
    request = [PatchOperation(op="replace", path="/fullname", value="Issues")]
    assert published.mappings.patch(name, request=request).result.fullname == "Issues"
    listed = published.mappings.list(filter=f"name[eq]{name}", total=True)
    assert ([each.id for each in listed.result], listed.total) == ([made.id], 1)
    assert published.mappings.get(f"{name}:1").result.data == "title: summary\n"
    published.mappings.delete(made.id)
    with pytest.raises(NotFoundError):
        published.mappings.get(made.id)


@exercises("POST /v1/mappings/apply")
def test_mapping__applied_in_a_chain__is_the_clients_model(published: Published) -> None:
    first, second = new_name("first"), new_name("second")
    published.mappings.create(name=first, data="title: $uppercase(summary)")
    published.mappings.create(name=second, data="text: title & '!'")
    data = {"summary": "leak"}
    assert published.mappings.apply(mappings=[first, f"{second}:1"], data=data).result.mapping == {"text": "LEAK!"}
    shown = published.mappings.apply(mappings=[first], data=data, include_raw_data=True).result.mapping
    assert shown == {"title": "LEAK", "raw_data": '{"summary":"leak"}'}
