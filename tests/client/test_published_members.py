"""Members, roles and permission sets through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import ForbiddenError, NotFoundError
from synqly.management.common.types import PatchOperation
from synqly.management.member_base import MemberOptions
from synqly.management.permissionset_base import Permissions
from synqly.management.role_base import Resources, RoleAccounts

from tests.client.published import Published, exercises, members, new_name, words

SECRET = "seven horses eat paper"


@exercises(
    "GET /v1/members",
    "POST /v1/members",
    "GET /v1/members/{member_id}",
    "PUT /v1/members/{member_id}",
    "PATCH /v1/members/{member_id}",
    "DELETE /v1/members/{member_id}",
)
def test_member__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = f"{new_name('ada')}@example.com"
    options = MemberOptions(ttl="720h", token_ttl="2h", options=["expired"])
    made = published.members.create(
        name=name, fullname="Ada", secret=SECRET, role_binding=["viewer"], options=options, type="personal"
    ).result.member
    assert (made.ttl, made.token_ttl, made.role_binding, made.last_logon.year) == ("720h", "2h", ["viewer"], 1)
    assert published.members.get(made.id).result == published.members.get(name).result == made

    updated = published.members.update(name, **members(made) | {"role_binding": ["member", "viewer"]}).result
    assert updated.role_binding == ["member", "viewer"]
    patched = published.members.patch(name, request=[PatchOperation(op="add", path="/nickname", value="A")]).result
    assert (patched.nickname, patched.role_binding) == ("A", ["member", "viewer"])
    assert published.members.list(filter=f"name[eq]{name}", order="last_logon[desc]").result == [patched]
    published.members.delete(made.id)
    with pytest.raises(NotFoundError):
        published.members.get(made.id)


@exercises(
    "GET /v1/roles",
    "POST /v1/roles",
    "GET /v1/roles/{role_id}",
    "PUT /v1/roles/{role_id}",
    "PATCH /v1/roles/{role_id}",
    "DELETE /v1/roles/{role_id}",
)
def test_role__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("auditors")
    resources = Resources(accounts=RoleAccounts(ids=["*"], labels=["gold"], environments=["prod"]))
    made = published.roles.create(
        name=name, fullname="Auditors", description="Reads gold.", resources=resources, permission_set="viewer"
    ).result
    assert published.roles.get(name).result == made
    updated = published.roles.update(made.id, **members(made) | {"permission_set": Permissions.MEMBER}).result
    assert updated.permission_set == Permissions.MEMBER
    patched = published.roles.patch(name, request=[PatchOperation(op="remove", path="/resources")]).result
    assert patched.resources is None
    assert published.roles.list(filter=f"name[eq]{name}").result == [patched]
    published.roles.delete(name)
    builtin = published.roles.get("administrator").result
    with pytest.raises(ForbiddenError):
        published.roles.delete(builtin.id)


@exercises("GET /v1/permissionsets", "GET /v1/permissionsets/{permissionset_id}")
def test_permission_sets__listed_and_shown__are_the_clients_model(published: Published) -> None:
    listed = published.permissionset.list().result
    assert sorted(each.name.value for each in listed) == sorted(each.value for each in words(Permissions))
    for each in listed:
        assert published.permissionset.get(each.name).result == each
