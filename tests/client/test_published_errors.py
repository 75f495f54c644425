"""Refusals through the published client: its own exceptions, with problems that say what to do."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from synqly.management.common import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthorizedError,
)
from synqly.management.core.api_error import ApiError
from synqly.management.role_base import Resources

from tests.client.published import Published, members, new_name
from tests.server import Server

ABSENT = "01890000-0000-7000-8000-000000000000"


def refused(kind: type[ApiError], call: Callable[[], Any]) -> Any:
    """The problem that a call is refused with; `Published` has held it against the client's model."""
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    problem = error.value.body
    assert problem.status == error.value.status_code
    assert problem.instance.startswith("urn:uuid:")
    assert problem.remediation
    return problem


def test_error__malformed_name__is_a_bad_request_that_names_the_member(published: Published) -> None:
    problem = refused(BadRequestError, lambda: published.accounts.create(name="Not A Name"))
    assert problem.type == "/problems/invalid-request"
    assert (problem.context.parameter.location, problem.context.parameter.id) == ("body", "/name")
    assert problem.context.parameter.value == "Not A Name"


def test_error__several_members_wrong__is_a_bad_request_with_every_cause(published: Published) -> None:
    problem = refused(
        BadRequestError, lambda: published.accounts.create(name="Not A Name", environment="staging", labels=["a b"])
    )
    assert {cause.context.parameter.id for cause in problem.cause} == {"/name", "/environment", "/labels/0"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"limit": 0}, "limit"),
        ({"order": "color"}, "order"),
        ({"filter": "color[eq]red"}, "filter"),
        ({"filter": ["name[eq]a", "environment[like]t%"]}, "filter"),
        ({"order": "fullname", "start_after": "no-such-account"}, "start_after"),
    ],
)
def test_error__list_asked_wrongly__is_a_bad_request_that_names_the_parameter(
    published: Published, query: dict[str, Any], parameter: str
) -> None:
    problem = refused(BadRequestError, lambda: published.accounts.list(**query))
    assert (problem.context.parameter.location, problem.context.parameter.id) == ("query", parameter)


def test_error__credential_of_another_type__is_a_bad_request_without_its_secret(published: Published) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    config = {"type": "ticketing_jira", "url": "http://127.0.0.1:9", "credential": {"type": "token", "secret": "hush"}}
    problem = refused(BadRequestError, lambda: published.integrations.create(account.id, provider_config=config))
    assert problem.type == "/problems/invalid-provider-config"
    refused(BadRequestError, lambda: published.credentials.create(account.id, config={"type": "pin", "secret": "hush"}))
    assert all("hush" not in each.answer.text for each in published.exchanges)


@pytest.mark.parametrize("token", ["x", "nonsense", "sqm_0000000000000000_" + "0" * 49])
def test_error__bad_token__is_unauthorized(live_server_process: Server, token: str) -> None:
    problem = refused(UnauthorizedError, Published(live_server_process.url, token).accounts.list)
    assert problem.type == "/problems/unauthenticated"


def test_error__grant_missing__is_forbidden(published: Published) -> None:
    reader = published.tokens.create_token(resources=Resources(), permission_set="viewer").result
    theirs = published.as_(reader.primary.access.secret)
    theirs.accounts.list()
    problem = refused(ForbiddenError, lambda: theirs.accounts.create(name=new_name("north")))
    assert problem.type == "/problems/forbidden"
    refused(ForbiddenError, lambda: theirs.tokens.create_token(resources=Resources(), permission_set="administrator"))


@pytest.mark.parametrize("identifier", [ABSENT, "no-such-object"])
def test_error__object_absent__is_not_found_everywhere(published: Published, identifier: str) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    for call in (
        lambda: published.accounts.get(identifier),
        lambda: published.accounts.patch(identifier, request=[]),
        lambda: published.accounts.delete(identifier),
        lambda: published.credentials.list(identifier),
        lambda: published.credentials.get(account.id, identifier),
        lambda: published.credentials.lookup(identifier),
        lambda: published.integration_points.get(identifier),
        lambda: published.integrations.list_account(identifier),
        lambda: published.integrations.get(account.id, identifier),
        lambda: published.integrations.verify_existing(account.id, identifier),
        lambda: published.tokens.get(identifier),
        lambda: published.tokens.create_integration_token(account.id, identifier),
        lambda: published.capabilities.get_provider(identifier),
    ):
        problem = refused(NotFoundError, call)
        assert problem.type == "/problems/not-found"


def test_error__name_taken__is_a_conflict(published: Published) -> None:
    name = published.accounts.create(name=new_name("north")).result.account.name
    problem = refused(ConflictError, lambda: published.accounts.create(name=name))
    assert problem.type == "/problems/duplicate-name"


def test_error__object_changed_since_it_was_read__is_a_conflict(published: Published) -> None:
    read = published.accounts.create(name=new_name("north")).result.account
    published.accounts.update(read.id, **members(read) | {"fullname": "One"})
    problem = refused(ConflictError, lambda: published.accounts.update(read.id, **members(read) | {"fullname": "Two"}))
    assert problem.type == "/problems/stale-object"
    assert published.accounts.get(read.id).result.fullname == "One"


def test_error__test_of_a_patch_fails__is_a_conflict_and_nothing_is_changed(published: Published) -> None:
    made = published.accounts.create(name=new_name("north")).result.account
    request = [
        {"op": "replace", "path": "/fullname", "value": "New"},
        {"op": "test", "path": "/fullname", "value": "X"},
    ]
    problem = refused(ConflictError, lambda: published.accounts.patch(made.id, request=request))
    assert problem.type == "/problems/patch-test-failed"
    assert published.accounts.get(made.id).result == made


def test_error__conflict_with_the_clients_own_retries__stays_a_conflict(published: Published) -> None:
    """The client repeats what is answered with 409: the repetition must not make a second object."""
    made = published.accounts.create(name=new_name("north")).result.account
    options = {"max_retries": 1}
    with pytest.raises(ConflictError):
        published.client.accounts.create(name=made.name, request_options=options)
    assert [each.answer.status_code for each in published.exchanges[-2:]] == [409, 409]
    assert published.accounts.list(filter=f"name[eq]{made.name}", total=True).total == 1
