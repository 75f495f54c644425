"""Every operation, for every principal, on every kind of object: as the policy says, and not told apart."""

from __future__ import annotations

import pytest

from tests.access import policy
from tests.access.cells import as_holder, ask, face_of, outcome, principals, rendered, subjects
from tests.access.write import MATRIX
from tests.api import Api
from tests.contract.faces import Operation, operations, other_routes
from tests.contract.problems import without_identity


def test_policy__every_operation__is_known_to_it_and_no_other() -> None:
    assert sorted(policy.RULES) == sorted(map(str, operations()))
    assert sorted(policy.OPEN_TO_ALL) == sorted("/" + route for route in other_routes())


@pytest.mark.parametrize("operation", operations(), ids=str)
def test_operation__any__asks_for_what_the_policy_says(operation: Operation) -> None:
    rule = policy.RULES[str(operation)]
    assert (operation.resource, operation.verb) == (rule.resource, rule.verb)


def test_matrix__written__is_fresh() -> None:
    assert MATRIX.read_text() == rendered(), "run `python -m tests.access.write` and read the difference"


@pytest.mark.parametrize("operation", operations(), ids=str)
def test_matrix__every_cell__is_as_the_policy_says(operation: Operation, acme: Api, globex: Api) -> None:
    asked = subjects(operation, acme, globex)
    wrong = []
    for name, principal in principals(acme, globex).items():
        if name == policy.REFRESH_SECRET:
            principal = as_holder(principal, asked[policy.INSIDE])  # noqa: PLW2901
        for kind, subject in asked.items():
            expected = policy.expected(name, str(operation), kind)
            if expected == policy.NOTHING:
                continue
            if name == "neighbour" and policy.RULES[str(operation)].kind == "whole":
                subject = asked.get(policy.FOREIGN, subject)  # noqa: PLW2901 - at such an address it has its own
            if name == "sub-organization" and operation.viewset.__name__ == "OrganizationViewSet":
                subject = subjects(operation, principal, globex)[policy.INSIDE]  # noqa: PLW2901
            seen = outcome(ask(principal, operation, subject), operation, subject)
            if seen != expected:
                wrong.append(f"{name}, {kind}: {seen}, not {expected}")
    assert wrong == []


@pytest.mark.parametrize("operation", [o for o in operations() if o.parameters and face_of(o)], ids=str)
def test_matrix__object_out_of_reach__looks_like_none(operation: Operation, acme: Api, globex: Api) -> None:
    """Byte for byte, apart from the request's id, its time and the identifiers that the answer repeats."""
    asked = subjects(operation, acme, globex)
    missing, last = asked[policy.MISSING].values, operation.parameters[-1]
    for name, principal in principals(acme, globex).items():
        if name == policy.REFRESH_SECRET:
            principal = as_holder(principal, asked[policy.INSIDE])  # noqa: PLW2901
        for kind, subject in asked.items():
            if policy.expected(name, str(operation), kind) != policy.ABSENT:
                continue
            seen = without_identity(ask(principal, operation, subject), *subject.values.values())
            below_same_owner = subject.values | {last: missing[last]}
            gone = [
                without_identity(ask(principal, operation, subject, values), *values.values())
                for values in (missing, below_same_owner)
            ]
            assert seen in gone, (name, kind)


@pytest.mark.parametrize("operation", [o for o in operations() if len(o.parameters) > 1], ids=str)
def test_matrix__foreign_object_below_an_own_owner__looks_like_none(
    operation: Operation, acme: Api, globex: Api
) -> None:
    asked = subjects(operation, acme, globex)
    last = operation.parameters[-1]
    for kind in (policy.OUTSIDE, policy.FOREIGN):
        crossed = asked[policy.INSIDE].values | {last: asked[kind].values[last]}
        if crossed in (asked[kind].values, asked[policy.INSIDE].values):
            continue  # both have one owner, as tokens of the organization, or what is below is the same for all
        absent = asked[policy.INSIDE].values | {last: asked[policy.MISSING].values[last]}
        answer, gone = (ask(acme, operation, asked[policy.INSIDE], values) for values in (crossed, absent))
        assert answer.status_code == 404
        assert without_identity(answer, *crossed.values()) == without_identity(gone, *absent.values())
