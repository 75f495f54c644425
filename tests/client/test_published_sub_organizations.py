"""Sub-organizations through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import NotFoundError, UnauthorizedError
from synqly.management.member_base import CreateMemberRequest

from tests.client.published import Published, exercises, new_name


@exercises(
    "GET /v1/suborgs",
    "POST /v1/suborgs",
    "GET /v1/suborgs/{organization_id}",
    "DELETE /v1/suborgs/{organization_id}",
)
def test_sub_organization__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("below")
    member = CreateMemberRequest(name="ada@example.com", secret="seven horses eat paper")
    made = published.sub_orgs.create(name=name, fullname="Below", contact="ops@example.com", member=member).result
    assert (made.organization.name, made.member.name) == (name, "ada@example.com")
    assert published.sub_orgs.get(name).result == made.organization
    assert made.organization in published.sub_orgs.list().result
    inside = published.as_(made.token.access.secret)
    assert inside.organization.get().result == made.organization
    published.sub_orgs.delete(made.organization.id)
    with pytest.raises(UnauthorizedError):
        inside.organization.get()
    with pytest.raises(NotFoundError):
        published.sub_orgs.get(name)
