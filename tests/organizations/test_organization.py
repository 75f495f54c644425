"""The organization: its own settings, and what being blocked means."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.tenancy import scoped
from organizations.models import Organization, OrganizationState
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import ok


def block(api: Api, state: str | None, end_date: str | None = None) -> None:
    """What the operator does."""
    with scoped(api.scope):
        Organization.objects.update(state=state, end_date=end_date)


def day(offset: int) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=offset)).strftime("%Y-%m-%d")


def test_organization__renamed__is_found_by_its_token(acme: Api) -> None:
    before = ok(acme.get("/v1/organization"))
    after = ok(acme.put("/v1/organization", {**before, "name": "acme-2", "fullname": "Acme Two"}))
    assert (after["name"], after["fullname"], after["id"]) == ("acme-2", "Acme Two", acme.id)
    assert ok(acme.get("/v1/organization")) == after


def test_organization__name_of_another__is_409(acme: Api, globex: Api) -> None:
    before = ok(acme.get("/v1/organization"))
    answer = acme.put("/v1/organization", {**before, "name": "globex"})
    assert_problem(answer, 409, "duplicate-name", at="/name")
    assert globex.id not in answer.content.decode()


@pytest.mark.parametrize(
    "member, value",
    [
        ("state", "enabled"),
        ("end_date", "2999-01-01"),
        ("organization_type", "standard"),
        ("id", "01890000-0000-7000-8000-000000000000"),
        ("refresh_token_id", "01890000-0000-7000-8000-000000000000"),
    ],
)
def test_organization__what_the_operator_sets__cannot_be_changed(acme: Api, member: str, value: str) -> None:
    before = ok(acme.get("/v1/organization"))
    assert_problem(acme.put("/v1/organization", {**before, member: value}), 400, at=f"/{member}")
    answer = acme.patch("/v1/organization", [{"op": "add", "path": f"/{member}", "value": value}])
    assert_problem(answer, 400, "invalid-patch")
    assert ok(acme.get("/v1/organization")) == before


@pytest.mark.parametrize(
    "option, value, status",
    [
        ("invite_duration", "24h", 200),
        ("invite_duration", "168h", 200),
        ("invite_duration", "23h59m59s", 400),
        ("invite_duration", "168h1s", 400),
        ("password_duration", "8760h", 200),
        ("password_duration", "8761h", 400),
        ("password_duration", "1d", 400),
        ("forgot_duration", "", 400),
        ("forgot_duration", 24, 400),
        ("minimum_password_length", 8, 200),
        ("minimum_password_length", 72, 200),
        ("minimum_password_length", 7, 400),
        ("minimum_password_length", 73, 400),
        ("minimum_password_length", 12.0, 200),
        ("minimum_password_length", 12.5, 400),
        ("minimum_password_length", True, 400),
        ("minimum_password_length", "12", 400),
        ("unknown", 1, 400),
    ],
)
def test_organization__option__is_kept_within_its_bounds(acme: Api, option: str, value: Any, status: int) -> None:
    operations = [{"op": "add", "path": "/options", "value": {option: value}}]
    answer = acme.patch("/v1/organization", operations)
    if status == 200:
        assert ok(answer)["options"] == {option: value}
        assert ok(acme.get("/v1/organization"))["options"] == {option: value}
    else:
        assert_problem(answer, status, at=f"/options/{option}")


@pytest.mark.parametrize(
    "state, end_date, status",
    [
        (None, None, 200),
        (OrganizationState.ENABLED, None, 200),
        (OrganizationState.ENABLED, day(-2), 200),
        (OrganizationState.DISABLED, None, 402),
        (OrganizationState.DISABLED, day(2), 402),
        (OrganizationState.POV, day(-2), 200),
        (OrganizationState.PLG, None, 200),
        (OrganizationState.PLG, day(2), 200),
        (OrganizationState.PLG, day(-2), 402),
    ],
)
def test_organization__state__decides_on_the_next_request(
    acme: Api, globex: Api, state: str | None, end_date: str | None, status: int
) -> None:
    block(acme, state, end_date)
    read, written = acme.get("/v1/organization"), acme.post("/v1/accounts", {"name": "north"})
    assert (read.status_code, written.status_code) == (status, status)
    if status == 402:
        assert_problem(read, 402, "organization-disabled")
    assert globex.get("/v1/organization").status_code == 200
    block(acme, None)
    assert acme.get("/v1/organization").status_code == 200


def test_organization__disabled__tells_nothing_to_a_wrong_secret(acme: Api) -> None:
    block(acme, OrganizationState.DISABLED)
    assert acme.token is not None
    swapped = acme.token[:-1] + ("A" if acme.token[-1] != "A" else "B")
    assert_problem(Api(acme.id, swapped).get("/v1/organization"), 401, "unauthenticated")


def test_organization__last_day_of_plg__still_works(acme: Api) -> None:
    block(acme, OrganizationState.PLG, day(0))
    statuses = {acme.get("/v1/organization").status_code}
    block(acme, OrganizationState.PLG, day(0))  # once more, in case midnight passed in between
    statuses.add(acme.get("/v1/organization").status_code)
    assert 200 in statuses
