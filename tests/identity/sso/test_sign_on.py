"""Signing in as a whole: the start, the browser it is bound to, the code and the session it is exchanged for."""

# mypy: disable-error-code="import-untyped"
# The provider of another make ships no types.
from __future__ import annotations

import dataclasses
import datetime as dt
import types
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from django.conf import LazySettings
from lxml import etree

from core import activity
from core.tenancy import scoped
from identity.sso.models import SsoAttempt, SsoCode
from organizations.models import Organization
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.identity.sso.browser import (
    RETURN_TO,
    Browser,
    assert_lost,
    assert_refused,
    challenge_of,
    code_of,
    query_of,
)
from tests.identity.sso.configs import OIDC, SAML, make_sso
from tests.identity.sso.oidc_provider import OidcProvider
from tests.identity.test_member import SECRET, update
from tests.identity.test_session import enrol
from tests.objects import ok

Made = dict[str, Any]


@dataclasses.dataclass
class Service:
    """The service and what surrounds it."""

    acme: Api
    provider: OidcProvider
    settings: LazySettings


@pytest.fixture
def service(acme: Api, provider: OidcProvider, settings: LazySettings) -> Service:
    return Service(acme, provider, settings)


def expire(model: Any, api: Api) -> None:
    with scoped(api.scope):
        assert model.objects.update(expires=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)) > 0


# --- the session ---------------------------------------------------------------------------------


def test_exchange__code_of_a_finished_sign_in__is_a_session_of_the_member(
    sso: Made, ada: Made, acme: Api, browser: Browser
) -> None:
    session = ok(browser.exchange(code_of(browser.sign_in(sso))))
    assert (session["auth_code"], session["member"]["id"]) == ("success", ada["id"])
    assert session["organization"]["id"] == acme.id
    member = Api(acme.id, session["token"]["access"]["secret"])
    assert ok(member.get(f"/v1/members/{ada['id']}"))["last_logon"] > ada["last_logon"]
    assert_problem(member.get("/v1/accounts"), 403, "forbidden")
    assert member.post("/v1/auth/logoff").status_code == 204
    assert_problem(member.get(f"/v1/members/{ada['id']}"), 401)


def test_exchange__code_used_twice__is_lost(sso: Made, ada: Made, browser: Browser) -> None:
    code = code_of(browser.sign_in(sso))
    ok(browser.exchange(code))
    assert_lost(browser.exchange(code))


def test_exchange__by_somebody_else__is_lost_and_still_good_for_its_owner(
    sso: Made, ada: Made, browser: Browser
) -> None:
    code = code_of(browser.sign_in(sso))
    assert_lost(browser.exchange(code, "x" * 43))
    ok(browser.exchange(code))


def test_exchange__too_late__is_lost(sso: Made, ada: Made, acme: Api, browser: Browser) -> None:
    code = code_of(browser.sign_in(sso))
    expire(SsoCode, acme)
    assert_lost(browser.exchange(code))


def test_second_factor__by_default__is_the_providers_part(sso: Made, ada: Made, acme: Api, browser: Browser) -> None:
    shown = ok(acme.get("/v1/organization"))
    acme.put("/v1/organization", shown | {"options": {"require_second_factor": True}})
    answer = ok(browser.exchange(code_of(browser.sign_in(sso))))
    assert "auth_msg" not in answer
    session = Api(acme.id, answer["token"]["access"]["secret"])
    ok(session.get(f"/v1/members/{ada['id']}"))
    assert acme.log_on(ada["name"], SECRET).get(f"/v1/members/{ada['id']}").status_code == 403
    enrol(session)
    ok(browser.exchange(code_of(browser.sign_in(sso))))


def test_second_factor__wanted_by_the_configuration__is_enrolled_and_asked_for(
    ada: Made, acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    sso = make_sso(acme, OIDC | {"issuer_url": provider.issuer, "require_second_factor": True})
    answer = ok(browser.exchange(code_of(browser.sign_in(sso))))
    assert "second factor" in answer["auth_msg"]
    session = Api(acme.id, answer["token"]["access"]["secret"])
    assert_problem(session.get(f"/v1/members/{ada['id']}"), 403, "forbidden")
    _, recovery = enrol(session)
    ok(session.get(f"/v1/members/{ada['id']}"))
    code = code_of(browser.sign_in(sso))
    assert_problem(browser.exchange(code), 401, "second-factor-required")
    assert_problem(browser.exchange(code, second_factor="000000"), 401, "logon-failed")
    ok(browser.exchange(code, second_factor=recovery[0]))
    assert_lost(browser.exchange(code, second_factor=recovery[1]))


def test_second_factor__guessed_after_the_sign_in__has_to_wait(
    ada: Made, acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    sso = make_sso(acme, OIDC | {"issuer_url": provider.issuer, "require_second_factor": True})
    enrol(acme.log_on(ada["name"], SECRET))
    code = code_of(browser.sign_in(sso))
    answers = [browser.exchange(code, second_factor="000000").status_code for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_exchange__of_any_outcome__is_news(
    sso: Made, ada: Made, acme: Api, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[activity.Activity] = []
    monkeypatch.setattr(activity, "_recorder", lambda: types.SimpleNamespace(record=told.append))
    code = code_of(browser.sign_in(sso))
    ok(browser.exchange(code))
    code = code_of(browser.sign_in(sso))
    update(acme, ada, state="locked")
    browser.exchange(code)
    logons = [(each.object_id, each.outcome) for each in told if (each.resource, each.verb) == ("auth", "logon")]
    assert logons == [(ada["id"], "done"), (ada["id"], "member-locked")]


@pytest.mark.parametrize(
    ("code", "verifier", "at"),
    [
        ("", "x" * 43, "/code"),
        ("x", "short", "/code_verifier"),
        ("x", "é" * 43, "/code_verifier"),
        (7, "x" * 43, "/code"),
    ],
)
def test_exchange__malformed__is_400_and_shows_neither(
    code: Any, verifier: str, at: str, db: None, browser: Browser
) -> None:
    answer = browser.exchange(code, verifier)
    assert_problem(answer, 400, at=at)
    assert verifier not in answer.content.decode()


@pytest.mark.parametrize("state", ["disabled", "locked"])
def test_exchange__member_shut_out_meanwhile__is_403(
    state: str, sso: Made, ada: Made, acme: Api, browser: Browser
) -> None:
    code = code_of(browser.sign_in(sso))
    assert update(acme, ada, state=state).status_code == 200
    assert_problem(browser.exchange(code), 403, f"member-{state}")


def test_exchange__configuration_or_member_deleted_meanwhile__is_lost(
    sso: Made, ada: Made, acme: Api, browser: Browser
) -> None:
    code = code_of(browser.sign_in(sso))
    assert acme.delete(f"/v1/members/{ada['id']}").status_code == 204
    assert_lost(browser.exchange(code))


def test_sign_in__with_a_provider_of_another_make__is_a_session(
    acme: Api, ada: Made, open_loopback: None, browser: Browser
) -> None:
    user = oidc_provider_mock.User(
        sub="ada-1", claims={"email": "ada@example.com", "email_verified": True, "name": "Ada"}
    )
    with oidc_provider_mock.run_server_in_thread(require_nonce=True, user_claims=[user]) as server:
        sso = make_sso(acme, OIDC | {"issuer_url": f"http://127.0.0.1:{server.server_port}"})
        back = urlsplit(httpx.post(browser.at_provider(sso), data={"sub": "ada-1"}).headers["Location"])
        answer = browser.get(f"{back.path}?{back.query}")
    assert ok(browser.exchange(code_of(answer)))["member"]["id"] == ada["id"]


# --- the start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "return_to",
    [
        "",
        "https://evil.example",
        f"{RETURN_TO}/..",
        f"{RETURN_TO}?x=1",
        f"{RETURN_TO}#",
        RETURN_TO.upper(),
        "//app.example",
    ],
)
def test_start__address_that_is_not_listed__is_refused(return_to: str, sso: Made, browser: Browser) -> None:
    assert_problem(browser.start(sso, return_to=return_to), 400, at="return_to")


@pytest.mark.parametrize("challenge", ["", "x", "x" * 44, "=" * 43])
def test_start__without_a_challenge__is_refused(challenge: str, sso: Made, browser: Browser) -> None:
    assert_problem(browser.start(sso, code_challenge=challenge), 400, at="code_challenge")


@pytest.mark.parametrize("state", ["", " ", "x" * 513, "é", "a\r\nb"])
def test_start__state_that_no_address_can_carry__is_refused(state: str, sso: Made, browser: Browser) -> None:
    assert_problem(browser.start(sso, state=state), 400, at="state")


@pytest.mark.parametrize("sso_id", ["x", "sign-on-1", "%00", "0" * 400, "01a2004e-73b0-729b-a109-a3c961a14d91"])
def test_start__no_such_configuration__is_404(sso_id: str, sso: Made, browser: Browser) -> None:
    assert_problem(browser.start({"id": sso_id}), 404, "not-found")


def test_start__unknown_parameter__is_refused(sso: Made, browser: Browser) -> None:
    assert_problem(browser.start(sso, surprise="1"), 400, at="surprise")


def test_start__address_with_a_query__gets_the_code_behind_it(
    sso: Made, ada: Made, settings: LazySettings, browser: Browser
) -> None:
    settings.RETURN_TO = [f"{RETURN_TO}?tenant=7"]
    url = browser.at_provider(sso, return_to=f"{RETURN_TO}?tenant=7")
    location = browser.get(browser.back_from(url)).headers["Location"]
    assert parse_qs(urlsplit(location).query).keys() == {"tenant", "code", "state"}


def test_start__without_state__gives_none_back(sso: Made, ada: Made, browser: Browser) -> None:
    query = f"return_to={RETURN_TO}&code_challenge={challenge_of(browser.verifier)}"
    url = browser.get(f"/v1/auth/sso/{sso['id']}/start?{query}").headers["Location"]
    assert query_of(browser.get(browser.back_from(url)).headers["Location"]).keys() == {"code"}


@pytest.mark.parametrize(
    ("public", "config", "name", "attributes"),
    [
        ("https://api.acme.example", OIDC, "__Host-synqmgr-oidc", ("Lax", True)),
        ("https://api.acme.example", SAML, "__Host-synqmgr-saml", ("None", True)),
        ("http://localhost:8000", OIDC, "synqmgr-oidc", ("Lax", "")),
        ("http://localhost:8000", SAML, "synqmgr-saml", ("", "")),
    ],
)
def test_cookie__of_a_start__is_bound_as_tightly_as_the_protocol_allows(
    public: str, config: Made, name: str, attributes: Any, service: Service
) -> None:
    service.settings.PUBLIC_URL = public
    address = {"issuer_url": service.provider.issuer} if config is OIDC else {}
    cookie = Browser().start(make_sso(service.acme, config | address)).cookies[name]
    assert (cookie["samesite"], cookie["secure"]) == attributes
    assert (cookie["httponly"], cookie["path"], cookie["domain"], cookie["max-age"]) == (True, "/", "", 600)


def test_start__cookie_that_is_not_ours__is_replaced(sso: Made, browser: Browser) -> None:
    browser.client.cookies["synqmgr-oidc"] = "planted"
    assert len(browser.start(sso).cookies["synqmgr-oidc"].value) == 43


def test_start__again__keeps_the_browsers_cookie(sso: Made, browser: Browser) -> None:
    first, second = (browser.start(sso).cookies["synqmgr-oidc"].value for _ in range(2))
    assert first == second


# --- what is kept --------------------------------------------------------------------------------


def test_attempt__stored__holds_nothing_that_finishes_it(sso: Made, acme: Api, browser: Browser) -> None:
    asked = query_of(browser.at_provider(sso))
    cookie = browser.client.cookies["synqmgr-oidc"].value
    with scoped(acme.scope):
        row = SsoAttempt.objects.values().get()
    assert not {asked["state"], asked["nonce"], cookie} & {str(value) for value in row.values()}


def test_attempt__too_old__is_lost_and_swept_by_the_next(sso: Made, ada: Made, acme: Api, browser: Browser) -> None:
    back = browser.back_from(browser.at_provider(sso))
    expire(SsoAttempt, acme)
    assert_lost(browser.get(back))
    browser.at_provider(sso)
    with scoped(acme.scope):
        assert SsoAttempt.objects.count() == 1


def test_sign_in__organization_disabled__is_402_at_every_step(
    sso: Made, ada: Made, acme: Api, browser: Browser
) -> None:
    back = browser.back_from(browser.at_provider(sso))
    code = code_of(browser.sign_in(sso))
    with scoped(acme.scope):
        Organization.objects.update(state="disabled")
    assert_problem(browser.start(sso), 402, "organization-disabled")
    assert_problem(browser.get(back), 402, "organization-disabled")
    assert_problem(browser.exchange(code), 402, "organization-disabled")


# --- SAML metadata -------------------------------------------------------------------------------


def test_metadata__of_the_service__says_where_responses_go(browser: Browser, open_loopback: None, db: None) -> None:
    answer = browser.get("/v1/auth/saml/metadata")
    root = etree.fromstring(answer.content)
    assert answer.headers["Content-Type"] == "text/xml"
    assert root.get("entityID") == "http://localhost:8000/v1/auth/saml/metadata"
    service = root.find(".//{*}AssertionConsumerService")
    assert service is not None
    assert service.get("Location") == "http://localhost:8000/v1/auth/saml/acs"


def test_metadata__of_a_configuration__has_its_entity_id(saml_sso: Made, sso: Made, browser: Browser) -> None:
    root = etree.fromstring(browser.get(f"/v1/auth/saml/metadata/{saml_sso['id']}").content)
    assert root.get("entityID") == "https://synqmgr.example"
    assert_problem(browser.get(f"/v1/auth/saml/metadata/{sso['id']}"), 400, at="sso_id")
    assert_problem(browser.get("/v1/auth/saml/metadata/x"), 404)


def test_refusal__of_a_sign_in__says_who_can_help(sso: Made, browser: Browser) -> None:
    answer = browser.sign_in(sso)
    assert_refused(answer, "ada@example.com")
    assert "administrator" in answer.json()["remediation"]


def test_session__of_a_configuration_that_is_deleted__ends(
    sso: Made, ada: Made, acme: Api, provider: OidcProvider, browser: Browser
) -> None:
    other = make_sso(acme, OIDC | {"issuer_url": provider.issuer})
    secrets = [
        ok(browser.exchange(code_of(browser.sign_in(each))))["token"]["access"]["secret"] for each in (sso, other)
    ]
    ended, kept = (Api(acme.id, secret) for secret in secrets)
    code = code_of(browser.sign_in(sso))
    assert acme.delete(f"/v1/auth/sso/{sso['id']}").status_code == 204
    assert_lost(browser.exchange(code))
    assert_problem(ended.get("/v1/status"), 401, "unauthenticated")
    assert kept.get("/v1/status").status_code == 200
    by_password = acme.log_on("ada@example.com", SECRET)
    assert acme.delete(f"/v1/auth/sso/{other['id']}").status_code == 204
    assert by_password.get("/v1/status").status_code == 200
