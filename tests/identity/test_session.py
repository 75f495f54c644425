"""Sessions: logging on and off, passwords and second factors."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest

from core.columns import new_id
from core.tenancy import scoped
from identity.members.models import Member
from identity.sessions import services
from identity.sessions.attempts import FREE
from identity.sessions.models import SecondFactor
from organizations.models import Organization
from tests.api import Api
from tests.contract.problems import assert_problem, without_identity
from tests.identity.test_member import SECRET, make_member, update

OTHER = "eight mules drink ink"


def try_log_on(api: Api, name: str = "ada@example.com", secret: str = SECRET, **body: Any) -> Any:
    return Api("").post(f"/v1/auth/logon/{api.id}", {"name": name, "secret": secret, **body})


def enrol(session: Api) -> tuple[str, list[str]]:
    """The code that confirmed a second factor, and its recovery codes."""
    code = pyotp.TOTP(session.post("/v1/auth/second_factor", {"secret": SECRET}).json()["result"]["secret"]).now()
    answer = session.post("/v1/auth/second_factor/confirm", {"code": code})
    assert answer.status_code == 200, answer.content
    return code, answer.json()["result"]["recovery_codes"]


def forget_spent_codes(api: Api) -> None:
    """As if the time had passed in which a code of now cannot be used again."""
    with scoped(api.scope):
        SecondFactor.objects.update(last_step=0)


# --- logging on ----------------------------------------------------------------------------------


def test_logon__right__gives_a_session_that_does_what_the_roles_grant(acme: Api) -> None:
    made = make_member(acme, role_binding=["viewer"])
    result = try_log_on(acme, "ADA@example.com").json()["result"]
    assert (result["auth_code"], result["organization"]["id"]) == ("success", acme.id)
    assert result["member"]["last_logon"] > made["created_at"]
    assert acme.get(f"/v1/members/{made['id']}").json()["result"] == result["member"]
    permissions = result["token"]["access"]["permissions"]
    assert permissions["member_id"] == made["id"]
    session = Api(acme.id, result["token"]["access"]["secret"])
    assert session.get("/v1/accounts").status_code == 200
    assert_problem(session.post("/v1/accounts", {"name": "no"}), 403, "forbidden")
    shown = acme.get(f"/v1/tokens/{result['refresh_token_id']}/info").json()["result"]
    assert (shown["token_type"], shown["member_id"]) == ("logon", made["id"])


def test_logon__by_the_organizations_name__is_the_same(acme: Api) -> None:
    make_member(acme)
    assert Api("").post("/v1/auth/logon/acme", {"name": "ada@example.com", "secret": SECRET}).status_code == 200


def test_logon__unknown_name_or_organization__looks_like_a_wrong_password(acme: Api, globex: Api) -> None:
    make_member(acme)
    wrong = try_log_on(acme, secret=OTHER)
    assert_problem(wrong, 401, "logon-failed")
    answers = [try_log_on(acme, "eve@example.com"), try_log_on(globex), try_log_on(Api(new_id())), try_log_on(Api("x"))]
    for answer in [*answers, try_log_on(Api("a\x00b")), try_log_on(acme, "a" * 255)]:
        assert without_identity(answer) == without_identity(wrong)


@pytest.mark.parametrize(("state", "slug"), [("disabled", "member-disabled"), ("locked", "member-locked")])
def test_logon__shut_out__is_told_only_to_who_knows_the_password(acme: Api, state: str, slug: str) -> None:
    update(acme, make_member(acme), state=state)
    assert_problem(try_log_on(acme), 403, slug)
    assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")


def test_logon__organization_disabled__is_402(acme: Api) -> None:
    make_member(acme)
    with scoped(acme.scope):
        Organization.objects.update(state="disabled")
    assert_problem(try_log_on(acme), 402, "organization-disabled")
    assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")


@pytest.mark.parametrize(
    ("option", "auth_code"), [("expired", "expired"), ("invited", "invited"), ("forgotten", "expired")]
)
def test_logon__password_to_be_changed__allows_that_alone(acme: Api, option: str, auth_code: str) -> None:
    make_member(acme, role_binding=["administrator"], options={"options": [option]})
    result = try_log_on(acme).json()["result"]
    assert result["auth_code"] == auth_code
    session = Api(acme.id, result["token"]["access"]["secret"])
    assert_problem(session.get("/v1/accounts"), 403, "forbidden")
    changed = session.post("/v1/auth/change_password", {"old_secret": SECRET, "new_secret": OTHER})
    assert changed.json()["result"] == {"auth_code": "success"}
    assert session.get("/v1/accounts").status_code == 200
    assert try_log_on(acme, secret=OTHER).json()["result"]["auth_code"] == "success"
    assert_problem(try_log_on(acme), 401, "logon-failed")


@pytest.mark.parametrize("body", [{}, {"name": "a"}, {"name": 1, "secret": SECRET}, {"name": "a", "secret": "x" * 257}])
def test_logon__malformed__is_400(acme: Api, body: dict[str, Any]) -> None:
    assert_problem(Api("").post(f"/v1/auth/logon/{acme.id}", body), 400, "invalid-request")


# --- passwords -----------------------------------------------------------------------------------


def test_password__changed__ends_the_other_sessions(acme: Api) -> None:
    make_member(acme, role_binding=["administrator"])
    first, second = (acme.log_on("ada@example.com", SECRET) for _ in range(2))
    derived = second.post("/v1/tokens", {"resources": {}, "permission_set": "viewer"}).json()["result"]
    body = {"old_secret": SECRET, "new_secret": OTHER}
    assert first.post("/v1/auth/change_password", body).status_code == 200
    assert first.get("/v1/accounts").status_code == 200
    for ended in (second, Api(acme.id, derived["primary"]["access"]["secret"])):
        assert_problem(ended.get("/v1/accounts"), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("body", "status", "at"),
    [
        ({"old_secret": OTHER, "new_secret": OTHER}, 403, "/old_secret"),
        ({"old_secret": SECRET, "new_secret": SECRET}, 400, "/new_secret"),
        ({"old_secret": SECRET, "new_secret": "password1"}, 400, "/new_secret"),
        ({"old_secret": SECRET, "new_secret": "short"}, 400, "/new_secret"),
    ],
)
def test_password__change_refused__leaves_all_as_it_was(acme: Api, body: dict[str, str], status: int, at: str) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    problem = assert_problem(session.post("/v1/auth/change_password", body), status, at=at)
    assert body["new_secret"] not in str(problem)
    assert try_log_on(acme).status_code == 200


def test_password__organizations_rules__hold(acme: Api) -> None:
    shown = acme.get("/v1/organization").json()["result"]
    options = {"minimum_password_length": 30, "password_duration": "24h"}
    assert acme.put("/v1/organization", shown | {"options": options}).status_code == 200
    answer = acme.post("/v1/members", {"name": "ada@example.com", "secret": SECRET})
    assert_problem(answer, 400, "invalid-request", at="/secret")
    made = make_member(acme, secret=SECRET + " and drink ink")
    day = time.mktime(time.strptime(made["pin_expires"][:19], "%Y-%m-%dT%H:%M:%S")) - time.mktime(
        time.strptime(made["created_at"][:19], "%Y-%m-%dT%H:%M:%S")
    )
    assert day == pytest.approx(86_400, abs=2)


def test_logoff__session__ends_with_what_was_derived(acme: Api) -> None:
    make_member(acme, role_binding=["administrator"])
    session = acme.log_on("ada@example.com", SECRET)
    derived = session.post("/v1/tokens", {"resources": {}, "permission_set": "viewer"}).json()["result"]
    assert session.post("/v1/auth/logoff").status_code == 204
    for ended in (session, Api(acme.id, derived["primary"]["access"]["secret"])):
        assert_problem(ended.get("/v1/accounts"), 401, "unauthenticated")


def test_session__of_no_member__has_nothing_to_log_off_from(acme: Api) -> None:
    assert_problem(acme.post("/v1/auth/logoff"), 403, "forbidden")
    assert_problem(acme.post("/v1/auth/second_factor"), 403, "forbidden")


# --- forgotten -----------------------------------------------------------------------------------


@pytest.mark.parametrize("patched", [False, True])
def test_password__set_by_an_administrator__is_good_for_one_log_on(acme: Api, patched: bool) -> None:
    made = make_member(acme, role_binding=["viewer"])
    session = acme.log_on("ada@example.com", SECRET)
    if patched:
        patch = [{"op": "add", "path": "/secret", "value": OTHER}]
        answer = acme.patch(f"/v1/members/{made['id']}", patch)
    else:
        answer = update(acme, made, secret=OTHER)
    assert answer.status_code == 200, answer.content
    assert "secret" not in answer.json()["result"]
    assert_problem(session.get("/v1/accounts"), 401)
    assert_problem(try_log_on(acme), 401, "logon-failed")
    again = try_log_on(acme, secret=OTHER).json()["result"]
    assert again["auth_code"] == "expired"
    held = Api(acme.id, again["token"]["access"]["secret"])
    assert_problem(held.get("/v1/accounts"), 403)
    chosen = "nine goats climb walls"
    assert held.post("/v1/auth/change_password", {"old_secret": OTHER, "new_secret": chosen}).status_code == 200
    assert held.get("/v1/accounts").status_code == 200


def test_password__set_for_oneself_or_too_weak__is_refused(acme: Api) -> None:
    made = make_member(acme, role_binding=["administrator"])
    session = acme.log_on("ada@example.com", SECRET)
    assert_problem(update(session, made, secret=OTHER), 403, "forbidden")
    assert_problem(update(acme, made, secret="password1"), 400, at="/secret")
    bob = make_member(acme, "bob@example.com", role_binding=["viewer"])
    reader = acme.log_on("bob@example.com", SECRET)
    assert_problem(update(reader, bob, secret=OTHER), 403, "forbidden")
    assert_problem(update(reader, made, secret=OTHER), 403, "forbidden")
    assert session.get("/v1/accounts").status_code == 200


# --- second factor -------------------------------------------------------------------------------


def test_second_factor__confirmed__is_asked_for(acme: Api) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    code, recovery = enrol(session)
    assert_problem(try_log_on(acme), 401, "second-factor-required")
    assert_problem(try_log_on(acme, secret=OTHER), 401, "logon-failed")
    assert_problem(try_log_on(acme, code="000000"), 401, "logon-failed")
    assert_problem(try_log_on(acme, code=code), 401, "logon-failed")  # it has been spent
    forget_spent_codes(acme)
    assert try_log_on(acme, code=code).status_code == 200
    assert try_log_on(acme, code=recovery[0]).status_code == 200
    assert_problem(try_log_on(acme, code=recovery[0]), 401, "logon-failed")


def test_second_factor__enrolled_without_the_password__is_refused(acme: Api) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    assert_problem(session.post("/v1/auth/second_factor"), 400, "invalid-request", at="/secret")
    for _ in range(FREE):
        assert_problem(session.post("/v1/auth/second_factor", {"secret": OTHER}), 403, "forbidden", at="/secret")
    assert_problem(session.post("/v1/auth/second_factor", {"secret": SECRET}), 429, "too-many-failures")
    with scoped(acme.scope):
        assert not SecondFactor.objects.exists()


def test_second_factor__unconfirmed__is_not_asked_for(acme: Api) -> None:
    make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    first = session.post("/v1/auth/second_factor", {"secret": SECRET}).json()["result"]
    second = session.post("/v1/auth/second_factor", {"secret": SECRET}).json()["result"]
    assert first["secret"] != second["secret"]
    assert second["uri"].startswith("otpauth://totp/")
    assert_problem(session.post("/v1/auth/second_factor/confirm", {"code": "000000"}), 400, at="/code")
    assert try_log_on(acme).status_code == 200


def test_second_factor__enrolled__is_removed_with_a_code_or_by_an_administrator(acme: Api) -> None:
    made = make_member(acme)
    session = acme.log_on("ada@example.com", SECRET)
    _, recovery = enrol(session)
    assert_problem(session.post("/v1/auth/second_factor", {"secret": SECRET}), 409, "conflict")
    assert_problem(session.post("/v1/auth/second_factor/remove", {"code": "000000"}), 403, "forbidden")
    assert session.post("/v1/auth/second_factor/remove", {"code": recovery[3]}).status_code == 204
    assert try_log_on(acme).status_code == 200
    enrol(session)
    assert acme.delete(f"/v1/members/{made['id']}/second_factor").status_code == 204
    assert try_log_on(acme).status_code == 200


def test_second_factor__wanted_by_the_organization__comes_first(acme: Api) -> None:
    make_member(acme, role_binding=["viewer"])
    session = acme.log_on("ada@example.com", SECRET)
    shown = acme.get("/v1/organization").json()["result"]
    acme.put("/v1/organization", shown | {"options": {"require_second_factor": True}})
    assert_problem(session.get("/v1/accounts"), 403, "forbidden")
    assert "second factor" in try_log_on(acme).json()["result"]["auth_msg"]
    enrol(session)
    assert session.get("/v1/accounts").status_code == 200


# --- what others change meanwhile ----------------------------------------------------------------


def test_password__verified_before_others_changed_the_member__writes_nothing_else(acme: Api) -> None:
    made = make_member(acme, role_binding=["administrator"])
    make_member(acme, "bob@example.com", role_binding=["administrator"])
    with scoped(acme.scope):
        before = Member.objects.get(id=made["id"])
        assert update(acme, made, state="locked", role_binding=["viewer"]).status_code == 200
        services.change_password(
            member=before,
            old_secret=SECRET,
            new_secret=OTHER,
            token_id=acme.token_id,
            address="192.0.2.1",
            then=lambda: None,
        )
        with pytest.raises(services.LogonFailedError):
            services.change_password(
                member=before,
                old_secret=SECRET,
                new_secret=OTHER,
                token_id=acme.token_id,
                address="192.0.2.1",
                then=lambda: None,
            )
        with pytest.raises(services.LogonFailedError):
            services.open_session(member=before)
        now = Member.objects.get(id=made["id"])
    assert (now.state, now.role_binding, now.is_administrator) == ("locked", ["viewer"], False)
    assert now.password != before.password


def test_session__derived_token__is_no_session_of_the_member(acme: Api) -> None:
    made = make_member(acme, role_binding=["administrator"])
    session = acme.log_on("ada@example.com", SECRET)
    body = {"resources": {}, "permission_set": "administrator"}
    derived = Api(acme.id, session.post("/v1/tokens", body).json()["result"]["primary"]["access"]["secret"])
    for path in ("second_factor", "logoff", "change_password"):
        assert_problem(derived.post(f"/v1/auth/{path}", {}), 403, "forbidden")
    member = {"resources": {}, "permission_set": "member"}
    lesser = Api(acme.id, session.post("/v1/tokens", member).json()["result"]["primary"]["access"]["secret"])
    assert_problem(lesser.get(f"/v1/members/{made['id']}"), 403, "forbidden")


def test_session__password_to_be_changed__does_not_reach_the_profile(acme: Api) -> None:
    made = make_member(acme, options={"options": ["expired"]})
    session = acme.log_on("ada@example.com", SECRET)
    assert_problem(session.get(f"/v1/members/{made['id']}"), 403, "forbidden")


def test_member__several_states_to_begin_in__the_strictest_wins(acme: Api) -> None:
    assert make_member(acme, options={"options": ["invited", "disabled"]})["state"] == "disabled"
