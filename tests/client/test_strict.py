"""The strict check itself: what the client would take and this must not."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

from typing import Any

import pytest
from synqly.management.accounts import ListAccountsResponse
from synqly.management.common import Problem
from synqly.management.integrations import CreateIntegrationResponse
from synqly.management.organization_base import Environment

from tests.client.strict import refuse_different

ID, INSTANT = "01a2004e-73b0-729b-a109-a3c961a14d91", "2026-11-21T22:51:11.206209Z"
ACCOUNT: dict[str, Any] = {
    "name": "north", "created_at": INSTANT, "updated_at": INSTANT, "id": ID, "fullname": "North", "organization_id": ID,
    "environment": "prod",
}  # fmt: skip


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ACCOUNT.items() if key != name}


def test_strict__answer_as_the_model_says__passes() -> None:
    refuse_different({"result": [ACCOUNT, {**ACCOUNT, "labels": ["gold"]}], "total": 2}, ListAccountsResponse)


@pytest.mark.parametrize(
    ("account", "named"),
    [
        ({**ACCOUNT, "color": "red"}, "/result/0/color is no member"),
        (without("fullname"), "/result/0/fullname is absent"),
        ({**ACCOUNT, "labels": None}, "/result/0/labels is null"),
        ({**ACCOUNT, "labels": [1]}, "/result/0/labels/0 is 1, no str"),
        ({**ACCOUNT, "labels": "gold"}, "/result/0/labels is no array"),
        ({**ACCOUNT, "fullname": 7}, "/result/0/fullname is 7, no str"),
        ({**ACCOUNT, "environment": "staging"}, "/result/0/environment is 'staging', not one of"),
        ({**ACCOUNT, "created_at": "2026-11-21 22:51:11"}, "/result/0/created_at is '2026-11-21 22:51:11', no time"),
        ([], "/result/0 is no object"),
    ],
)
def test_strict__answer_that_differs__is_refused_by_place(account: Any, named: str) -> None:
    with pytest.raises(AssertionError, match=named):
        refuse_different({"result": [account]}, ListAccountsResponse)


def test_strict__vocabulary_that_the_client_has_looked_up__stays_unknown() -> None:
    assert Environment("staging").value == "staging"
    with pytest.raises(AssertionError, match="staging"):
        refuse_different({"result": [{**ACCOUNT, "environment": "staging"}]}, ListAccountsResponse)


def test_strict__boolean_for_a_number__is_refused() -> None:
    problem = {"message": "no", "occurred_at": INSTANT, "status": True, "instance": "urn:uuid:" + ID}
    with pytest.raises(AssertionError, match="/status is True, no int"):
        refuse_different(problem, Problem)


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"type": "ticketing_nowhere"}, "provider_config is none of the shapes"),
        ({"type": "siem_mock_siem", "color": "red"}, "provider_config/color is no member"),
        ({"type": "assets_iru", "url": "https://iru.example"}, "provider_config/credential is absent"),
    ],
)
def test_strict__union__is_read_by_its_type(config: dict[str, Any], named: str) -> None:
    integration = {**ACCOUNT, "provider_config": config}
    with pytest.raises(AssertionError, match=named):
        refuse_different({"result": {"integration": integration}}, CreateIntegrationResponse)
