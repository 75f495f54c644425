"""How long passwords and invitations are good, by the organization's options as they are now."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.tenancy import scoped
from identity.members.models import Member, SecondFactorRule
from identity.sessions.services import open_session
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.test_member import SECRET, make_member, update
from tests.identity.test_session import OTHER, try_log_on
from tests.objects import ok

CHOSEN = "nine goats climb walls"


def rule(api: Api, **options: str) -> None:
    shown = ok(api.get("/v1/organization"))
    ok(api.put("/v1/organization", shown | {"options": options}))


def age(api: Api, member: dict[str, Any], **ages: str) -> None:
    """Moves times of a member into the past, by hours."""
    now = dt.datetime.now(dt.UTC)
    with scoped(api.scope):
        for column, hours in ages.items():
            Member.objects.filter(id=member["id"]).update(**{column: now - dt.timedelta(hours=float(hours))})


def session_by_sso(api: Api, member: dict[str, Any]) -> tuple[str, Api]:
    """What a sign-in answers, and the session that it opens."""
    with scoped(api.scope):
        session = open_session(member=Member.objects.get(id=member["id"]), rule=SecondFactorRule.ELSEWHERE)
    return session.auth_code, Api(api.id, session.issued.secrets["access"], session.issued.token.id)


@pytest.mark.parametrize(("state", "usual", "option"), [("invited", 168, "invite"), ("forgotten", 24, "forgot")])
def test_given_password__not_replaced_in_time__is_good_for_nothing(
    acme: Api, state: str, usual: int, option: str
) -> None:
    made = make_member(acme, options={"options": [state]})
    age(acme, made, given_at=f"{usual - 1}")
    session = acme.log_on("ada@example.com", SECRET)
    age(acme, made, given_at=f"{usual}")
    assert_problem(try_log_on(acme), 403, "password-overdue")
    assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")
    change = {"old_secret": SECRET, "new_secret": OTHER}
    assert_problem(session.post("/v1/auth/change_password", change), 403, "password-overdue")
    rule(acme, **{f"{option}_duration": "48h"})
    age(acme, made, given_at="47")
    assert try_log_on(acme).status_code == 200
    age(acme, made, given_at="48")
    assert_problem(try_log_on(acme), 403, "password-overdue")
    assert update(acme, made, secret=OTHER).status_code == 200
    assert try_log_on(acme, secret=OTHER).status_code == 200


def test_given_password__for_one_log_on__is_as_long_good_as_an_invitation(acme: Api) -> None:
    made = make_member(acme, options={"options": ["expired"]})
    age(acme, made, given_at="167")
    assert try_log_on(acme).json()["result"]["auth_code"] == "expired"
    age(acme, made, given_at="168")
    assert_problem(try_log_on(acme), 403, "password-overdue")


def test_given_password__set_anew__is_as_long_good_as_a_forgotten_one(acme: Api) -> None:
    made = make_member(acme)
    assert update(acme, made, secret=OTHER).status_code == 200
    age(acme, made, given_at="23")
    assert try_log_on(acme, secret=OTHER).json()["result"]["auth_code"] == "expired"
    age(acme, made, given_at="24")
    assert_problem(try_log_on(acme, secret=OTHER), 403, "password-overdue")


def test_given_password__state_set_later__counts_from_then(acme: Api) -> None:
    made = make_member(acme)
    age(acme, made, given_at="1000", password_set_at="1000")
    assert try_log_on(acme).json()["result"]["auth_code"] == "success"
    assert update(acme, made, state="forgotten").status_code == 200
    session = acme.log_on("ada@example.com", SECRET)
    changed = session.post("/v1/auth/change_password", {"old_secret": SECRET, "new_secret": CHOSEN})
    assert changed.status_code == 200
    age(acme, made, given_at="1000")
    assert try_log_on(acme, secret=CHOSEN).json()["result"]["auth_code"] == "success"


def test_rotation__rule_changed__holds_for_passwords_there_are(acme: Api) -> None:
    made = make_member(acme, role_binding=["viewer"])
    session = acme.log_on("ada@example.com", SECRET)
    age(acme, made, password_set_at="100")
    for duration, is_over in (("99h", True), ("101h", False), ("24h", True)):
        rule(acme, password_duration=duration)
        assert try_log_on(acme).json()["result"]["auth_code"] == ("expired" if is_over else "success")
        assert session.get("/v1/accounts").status_code == (403 if is_over else 200)
        shown = ok(acme.get(f"/v1/members/{made['id']}"))
        assert (shown["pin_expires"] < shown["last_logon"]) == is_over
        assert shown in ok(acme.get("/v1/members"))


@pytest.mark.parametrize("column", ["pin_expires", "expires", "password_set_at"])
def test_sign_on__old_password__holds_nobody_back(acme: Api, column: str) -> None:
    made = make_member(acme, role_binding=["administrator"])
    age(acme, made, **{column: "10000"})
    code, session = session_by_sso(acme, made)
    derived = ok(session.post("/v1/tokens", {"resources": {}, "permission_set": "administrator"}))
    assert code == "success"
    for each in (session, Api(acme.id, derived["primary"]["access"]["secret"])):
        assert each.get("/v1/accounts").status_code == 200
    assert try_log_on(acme).json()["result"]["auth_code"] == "expired"


@pytest.mark.parametrize("state", ["invited", "forgotten"])
def test_sign_on__in_a_state_that_asks_for_a_password__enables(acme: Api, state: str) -> None:
    made = make_member(acme, role_binding=["viewer"], options={"options": [state]})
    code, session = session_by_sso(acme, made)
    assert (code, session.get("/v1/accounts").status_code) == ("success", 200)
    assert ok(acme.get(f"/v1/members/{made['id']}"))["state"] == "enabled"
    by_password = try_log_on(acme).json()["result"]
    assert by_password["auth_code"] == "expired"
    assert_problem(Api(acme.id, by_password["token"]["access"]["secret"]).get("/v1/accounts"), 403)
    age(acme, made, given_at="168")
    assert_problem(try_log_on(acme), 403, "password-overdue")


def test_sign_on__enrolling_a_second_factor__asks_for_no_password(acme: Api) -> None:
    _, session = session_by_sso(acme, make_member(acme))
    assert session.post("/v1/auth/second_factor").status_code == 200
