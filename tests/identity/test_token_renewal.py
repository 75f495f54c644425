"""New secrets for a token: refresh, rotate, reset, who may have them, and what a copy of an old one does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.tenancy import scoped
from identity.members.models import Member
from identity.permissionsets.sets import Permissions
from identity.tokens import renewal
from identity.tokens.models import Slot, Surface, Token, TokenSecret
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.test_member import make_member, session_of
from tests.objects import make_account, make_token, ok, post_integration

Shown = dict[str, Any]


def refresh(api: Api, token: Shown, of: Shown | None = None) -> Any:
    """The answer to a refresh of a token by the refresh secret of `of`, else by its own."""
    bearer = Api(api.id, (of or token)["primary"]["refresh"]["secret"])
    return bearer.put(f"/v1/tokens/{token['id']}/refresh")


def renew(api: Api, token: Shown, verb: str = "rotate") -> Any:
    return api.put(f"/v1/tokens/{token['owner_id']}/{token['id']}/{verb}")


def works(api: Api, token: Shown) -> bool:
    """Whether the primary access secret of a token, as it was shown, still opens anything."""
    answer = Api(api.id, token["primary"]["access"]["secret"]).get("/v1/accounts")
    assert answer.status_code in (200, 401)
    return bool(answer.status_code == 200)


def secrets_of(api: Api, token: Shown) -> dict[tuple[str, str], int]:
    with scoped(api.scope):
        rows = list(TokenSecret.objects.filter(token_id=token["id"]).values_list("slot", "kind"))
    return {row: rows.count(row) for row in rows}


# --- refresh -------------------------------------------------------------------------------------


def test_refresh__first__makes_a_new_pair_and_keeps_the_old_access(acme: Api) -> None:
    made, _ = make_token(acme)
    second = ok(refresh(acme, made))
    assert second["secondary"]["access"]["secret"] == made["primary"]["access"]["secret"][:21] + "***"
    assert second["updated_at"] > made["updated_at"]
    assert [works(acme, each) for each in (made, second)] == [True, True]
    third = ok(refresh(acme, second))
    assert [works(acme, each) for each in (made, second, third)] == [False, True, True]
    assert secrets_of(acme, made) == {
        (slot, kind): 1 for slot in ("primary", "secondary") for kind in ("access", "refresh")
    } | {("dropped", "refresh"): 1}


def test_refresh__twice_with_one_secret__is_409_and_harmless(acme: Api) -> None:
    made, _ = make_token(acme)
    second = ok(refresh(acme, made))
    assert_problem(refresh(acme, made), 409, "replaced-secret")
    assert [works(acme, each) for each in (made, second)] == [True, True]


def test_refresh__dropped_secret__ends_the_whole_family(acme: Api) -> None:
    made, caller = make_token(acme)
    derived, _ = make_token(caller)
    sibling, _ = make_token(acme)
    third = ok(refresh(acme, second := ok(refresh(acme, made))))
    assert_problem(refresh(acme, made), 401, "reused-secret")
    assert [works(acme, each) for each in (made, second, third, derived)] == [False] * 4
    assert works(acme, sibling)
    assert_problem(acme.get(f"/v1/tokens/{made['id']}/info"), 404)
    assert_problem(refresh(acme, third), 401, "unauthenticated")


def test_refresh__many_times__remembers_the_latest_dropped_ones(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renewal, "MOST_DROPPED", 2)
    line = [make_token(acme)[0]]
    for _ in range(5):
        line.append(ok(refresh(acme, line[-1])))
    with scoped(acme.scope):
        dropped = TokenSecret.objects.filter(token_id=line[0]["id"], slot=Slot.DROPPED)
        kept = [each["primary"]["refresh"]["secret"].split("_")[1] for each in line[2:4]]
        assert sorted(dropped.values_list("public_id", flat=True)) == sorted(kept)
    assert_problem(refresh(acme, line[0]), 401, "unauthenticated")  # forgotten, and harmless
    assert works(acme, line[-1])
    assert_problem(refresh(acme, line[2]), 401, "reused-secret")


def test_refresh__dropped_secret_that_has_expired__is_401_and_harmless(acme: Api) -> None:
    made, _ = make_token(acme)
    third = ok(refresh(acme, ok(refresh(acme, made))))
    with scoped(acme.scope):
        TokenSecret.objects.filter(token_id=made["id"], slot=Slot.DROPPED).update(expires=dt.datetime.now(dt.UTC))
    assert_problem(refresh(acme, made), 401, "unauthenticated")
    assert works(acme, third)
    ok(refresh(acme, third))
    assert secrets_of(acme, made)["dropped", "refresh"] == 1


def test_refresh__access_secret__is_401(acme: Api) -> None:
    made, caller = make_token(acme)
    assert_problem(caller.put(f"/v1/tokens/{made['id']}/refresh"), 401, "unauthenticated")


def test_refresh_secret__anything_else__is_401(acme: Api) -> None:
    made, _ = make_token(acme)
    bearer = Api(acme.id, made["primary"]["refresh"]["secret"])
    for method, path in (
        ("GET", "/v1/accounts"),
        ("GET", f"/v1/tokens/{made['id']}/info"),
        ("DELETE", f"/v1/tokens/{made['id']}"),
        ("DELETE", f"/v1/tokens/{made['id']}/secondary"),
        ("PUT", f"/v1/tokens/{acme.id}/{made['id']}/rotate"),
        ("POST", "/v1/tokens"),
    ):
        assert_problem(bearer.request(method, path), 401, "unauthenticated")


def test_refresh__of_another_token__looks_like_none(acme: Api, globex: Api) -> None:
    made, _ = make_token(acme)
    others = [make_token(acme)[0], make_token(globex)[0]]
    for other in others:
        assert_problem(refresh(acme, other, of=made), 404, "not-found")
    assert works(acme, made)
    assert ok(Api(acme.id, made["primary"]["refresh"]["secret"]).put(f"/v1/tokens/{made['name']}/refresh"))


def test_refresh__of_a_connector_token__renews_for_its_own_time(acme: Api) -> None:
    made = ok(post_integration(acme, make_account(acme)["id"]))
    token = {"id": made["integration"]["refresh_token_id"], "primary": made["token"]}
    with scoped(acme.scope):  # it was made a day ago
        Token.objects.filter(id=token["id"]).update(expires=dt.datetime.now(dt.UTC) + dt.timedelta(days=364))
    renewed = ok(refresh(acme, token))
    now = dt.datetime.now(dt.UTC)
    assert abs(dt.datetime.fromisoformat(renewed["expires"]) - now - dt.timedelta(days=365)) < dt.timedelta(minutes=1)
    access = dt.datetime.fromisoformat(renewed["primary"]["access"]["expires"])
    assert abs(access - now - dt.timedelta(days=30)) < dt.timedelta(minutes=1)


def test_refresh__of_a_derived_token__ends_with_its_parent(acme: Api) -> None:
    parent, caller = make_token(acme, token_ttl="2h")
    child, _ = make_token(caller, token_ttl="1h")
    assert ok(refresh(acme, child))["expires"] < parent["expires"]
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)
    with scoped(acme.scope):
        Token.objects.filter(id=parent["id"]).update(expires=soon)
        secret = TokenSecret.objects.get(token_id=child["id"], slot=Slot.PRIMARY, kind="access")
    assert secret.expires > soon
    shown = ok(renew(acme, child))
    assert dt.datetime.fromisoformat(shown["expires"]) == soon
    assert dt.datetime.fromisoformat(shown["primary"]["access"]["expires"]) == soon
    with scoped(acme.scope):
        Token.objects.filter(id=parent["id"]).update(expires=dt.datetime.now(dt.UTC))
    assert_problem(renew(acme, child), 409, "conflict")


def test_refresh__of_a_members_session__follows_the_member(acme: Api) -> None:
    member = make_member(acme, role_binding=["administrator"])
    session = session_of(acme, member)
    own = ok(session.get(f"/v1/tokens/{session.token_id}/info"))
    now = dt.datetime.now(dt.UTC)
    with scoped(acme.scope):
        Member.objects.filter(id=member["id"]).update(token_ttl="10m")
    renewed = ok(renew(session, own))
    access = dt.datetime.fromisoformat(renewed["primary"]["access"]["expires"])
    assert access - now < dt.timedelta(minutes=11)
    soon = now + dt.timedelta(minutes=3)
    with scoped(acme.scope):
        Member.objects.filter(id=member["id"]).update(expires=soon)
    assert dt.datetime.fromisoformat(ok(refresh(acme, renewed))["expires"]) == soon
    with scoped(acme.scope):
        Member.objects.filter(id=member["id"]).update(state="locked")
    assert_problem(refresh(acme, renewed), 401)


# --- rotate, reset and the secondary ---------------------------------------------------------------


@pytest.mark.parametrize("by_name", [False, True])
def test_rotate__keeps_one_pair_before(acme: Api, by_name: bool) -> None:
    made, _ = make_token(acme, name="mine")
    path = f"/v1/tokens/{'acme' if by_name else acme.id}/{'mine' if by_name else made['id']}/rotate"
    second = ok(acme.put(path))
    assert [works(acme, each) for each in (made, second)] == [True, True]
    third = ok(acme.put(path))
    assert [works(acme, each) for each in (made, second, third)] == [False, True, True]
    shown = ok(acme.get("/v1/tokens/mine/info"))
    assert shown["secondary"]["access"]["secret"] == second["primary"]["access"]["secret"][:21] + "***"


def test_reset__ends_everything_before(acme: Api) -> None:
    made, _ = make_token(acme)
    second = ok(renew(acme, made))
    third = ok(renew(acme, made, "reset"))
    assert "secondary" not in third
    assert [works(acme, each) for each in (made, second, third)] == [False, False, True]
    assert secrets_of(acme, made) == {("primary", "access"): 1, ("primary", "refresh"): 1}


def test_rotate__expired_token__lives_again(acme: Api) -> None:
    made, _ = make_token(acme)
    with scoped(acme.scope):
        TokenSecret.objects.filter(token_id=made["id"]).update(expires=dt.datetime.now(dt.UTC))
    assert not works(acme, made)
    assert works(acme, ok(renew(acme, made)))


def test_remove_secondary__ends_the_pair_before_and_may_be_repeated(acme: Api) -> None:
    made, _ = make_token(acme)
    second = ok(refresh(acme, made))
    path = f"/v1/tokens/{made['id']}/secondary"
    for _ in range(2):
        answer = acme.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
    assert [works(acme, each) for each in (made, second)] == [False, True]
    assert "secondary" not in ok(acme.get(f"/v1/tokens/{made['id']}/info"))
    assert_problem(refresh(acme, made), 401, "reused-secret")


def test_rotate__other_owner__looks_like_none(acme: Api, globex: Api) -> None:
    made, _ = make_token(acme)
    integration = ok(post_integration(acme, make_account(acme)["id"], name="sink"))["integration"]
    for owner in (globex.id, integration["id"], "sink", "nothing", "a%00b"):
        assert_problem(acme.put(f"/v1/tokens/{owner}/{made['id']}/rotate"), 404, "not-found")
    for owner in (integration["id"], "sink"):
        ok(acme.put(f"/v1/tokens/{owner}/{integration['refresh_token_id']}/rotate"))
    assert_problem(acme.put(f"/v1/tokens/{acme.id}/{integration['refresh_token_id']}/rotate"), 404)


# --- who may have them ---------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["rotate", "reset"])
@pytest.mark.parametrize("permission_set", ["account-manager", "connect-ui", "token-issuer", "viewer"])
def test_renewal__of_the_administrators_token__is_403(acme: Api, permission_set: str, verb: str) -> None:
    first = ok(acme.get(f"/v1/tokens/{acme.token_id}/info"))
    _, derived = make_token(acme, permission_set)
    for caller in (derived, acme.issue(permission_set)):
        assert_problem(renew(caller, first, verb), 403, "forbidden")
    assert ok(acme.get("/v1/accounts")) == []


def test_renewal__of_a_wider_part__is_403(acme: Api) -> None:
    mine, other = (make_account(acme)["id"] for _ in range(2))
    manager = acme.issue("account-manager", resources={"accounts": {"ids": [mine]}})
    of_both, _ = make_token(acme, "account-manager", resources={"accounts": {"ids": [mine, other]}})
    of_one, _ = make_token(acme, "account-manager", resources={"accounts": {"ids": [mine]}})
    of_more, _ = make_token(acme, "administrator", resources={"accounts": {"ids": [mine]}})
    assert_problem(renew(manager, of_both), 404)  # it sees what is for its account alone
    assert_problem(renew(manager, of_more), 403, "forbidden")
    assert works(acme, ok(renew(manager, of_one)))
    both = acme.issue("account-manager", resources={"accounts": {"ids": [mine, other]}})
    assert works(acme, ok(renew(both, of_one)))


def test_renewal__part_by_label__stays_with_the_label(acme: Api) -> None:
    account = make_account(acme, labels=["gold"])["id"]
    golden = acme.issue("account-manager", resources={"accounts": {"ids": ["*"], "labels": ["gold"]}})
    of_account, _ = make_token(acme, "account-manager", resources={"accounts": {"ids": [account]}})
    assert_problem(renew(golden, of_account), 403, "forbidden")  # it would outlast the label
    derived, _ = make_token(golden, "account-manager", resources={"accounts": {"ids": [account]}})
    assert works(acme, ok(renew(golden, derived)))


def test_renewal__of_an_ancestor__is_403(acme: Api) -> None:
    first, one = make_token(acme)
    second, two = make_token(one)
    _, three = make_token(two)
    for ancestor in (first, second):
        assert_problem(renew(three, ancestor), 403, "forbidden")
    ok(renew(one, second))
    ok(renew(one, first))  # itself


def test_renewal__of_more_networks__is_403(acme: Api) -> None:
    here, caller = make_token(acme, allowed_networks=["127.0.0.0/8"])
    anywhere, _ = make_token(acme)
    inside, _ = make_token(acme, allowed_networks=["127.0.0.1"])
    assert_problem(renew(caller, anywhere), 403, "forbidden")
    for token in (here, inside):
        assert ok(renew(caller, token))["primary"]["access"]["claims"]["allowed_networks"]


def test_renewal__of_a_members_token__is_for_that_member_alone(acme: Api) -> None:
    ada = make_member(acme, role_binding=["administrator"])
    bob = make_member(acme, "bob@example.com", role_binding=["administrator"])
    session = session_of(acme, ada)
    own = ok(session.get(f"/v1/tokens/{session.token_id}/info"))
    derived, _ = make_token(session, "viewer")
    for caller in (acme, session_of(acme, bob)):
        for token in (own, derived):
            assert_problem(renew(caller, token), 403, "forbidden")
    again = session_of(acme, ada)
    for token in (own, derived):
        ok(renew(again, token))
    _, weaker = make_token(again, "account-manager")
    assert_problem(renew(weaker, own), 403, "forbidden")


def test_renewal__of_an_integrations_token__is_for_who_manages_its_account(acme: Api) -> None:
    mine, other = (make_account(acme)["id"] for _ in range(2))
    made = [ok(post_integration(acme, each))["integration"] for each in (mine, other)]
    manager = acme.issue("account-manager", resources={"accounts": {"ids": [mine]}})
    own, foreign = ({"id": each["refresh_token_id"], "owner_id": each["id"]} for each in made)
    shown = ok(renew(manager, own, "reset"))
    assert (shown["owner_id"], shown["token_type"]) == (own["owner_id"], "default")
    assert_problem(renew(manager, foreign, "reset"), 404)


def test_renewal__of_an_mcp_token__stays_on_its_surface(acme: Api) -> None:
    made, _ = make_token(acme, Permissions.MCP_MANAGEMENT)
    shown = ok(renew(acme, made))
    assert_problem(Api(acme.id, shown["primary"]["access"]["secret"]).get("/v1/accounts"), 403)
    narrow = acme.issue("account-manager", resources={"accounts": {"ids": [make_account(acme)["id"]]}})
    assert_problem(renew(narrow, made), 404)
    with scoped(acme.scope):
        assert Token.objects.get(id=made["id"]).surface == Surface.MCP


@pytest.mark.parametrize("verb", ["refresh", "rotate"])
def test_renewal__of_an_mcp_token__never_goes_beyond_a_day_in_all(acme: Api, verb: str) -> None:
    made, _ = make_token(acme, Permissions.MCP_MANAGEMENT, token_ttl="2h")
    day = dt.timedelta(hours=24)

    def again() -> Any:
        return refresh(acme, made) if verb == "refresh" else renew(acme, made)

    for hours, left in ((23, 1), (24, 0)):
        with scoped(acme.scope):
            now = dt.datetime.now(dt.UTC)
            Token.objects.filter(id=made["id"]).update(created_at=now - dt.timedelta(hours=hours))
        if left:
            made = ok(again())
            ends = dt.datetime.fromisoformat(made["primary"]["access"]["expires"]) - now
            assert dt.timedelta() < ends <= day - dt.timedelta(hours=hours)
        else:
            assert_problem(again(), 409, "conflict")


# --- who may end them ----------------------------------------------------------------------------


def end(api: Api, token: Shown, part: str) -> Any:
    return api.delete(f"/v1/tokens/{token['id']}{part}")


@pytest.mark.parametrize("part", ["", "/secondary"])
def test_ending__what_grants_more__is_403(acme: Api, part: str) -> None:
    """Whoever ends a token or a part of it holds at least its rights; itself each may end."""
    ada = make_member(acme, role_binding=["administrator"])
    session = session_of(acme, ada)
    manager = acme.issue("account-manager")
    stronger = [{"id": acme.token_id}, {"id": session.token_id}, make_token(acme)[0], make_token(acme, "viewer")[0]]
    for token in stronger:
        assert_problem(end(manager, token, part), 403, "forbidden")
        assert ok(acme.get(f"/v1/tokens/{token['id']}/info"))
    weaker = [make_token(acme, "account-manager")[0], make_token(manager, "token-issuer")[0], {"id": manager.token_id}]
    for token in [*weaker]:
        assert end(manager, token, part).status_code == 204
    assert end(acme, {"id": session.token_id}, part).status_code == 204


def test_ending__of_an_integrations_token__is_for_who_manages_its_account(acme: Api) -> None:
    mine, other = (make_account(acme)["id"] for _ in range(2))
    own, foreign = (
        {"id": ok(post_integration(acme, each))["integration"]["refresh_token_id"]} for each in (mine, other)
    )
    manager = acme.issue("account-manager", resources={"accounts": {"ids": [mine]}})
    assert_problem(end(manager, foreign, ""), 404)
    assert end(manager, own, "").status_code == 204
