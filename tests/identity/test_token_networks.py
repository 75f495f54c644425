"""Where a token can be used from, and where it was last used."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core.tenancy import scoped
from identity.tokens.models import Token
from identity.tokens.networks import common_networks, lie_within
from tests.api import Api, http_client
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_integration, make_token, ok

NEAR, FAR = "203.0.113.7", "198.51.100.9"


def status_from(api: Api, address: str, forwarded: str = "") -> int:
    """What a request from an address is answered with."""
    sent = {"Authorization": f"Bearer {api.token}"} | ({"X-Forwarded-For": forwarded} if forwarded else {})
    return int(http_client(headers=sent).get("/v1/accounts", REMOTE_ADDR=address).status_code)


def claims(api: Api, token_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = ok(api.get(f"/v1/tokens/{token_id}/info"))["primary"]["access"].get("claims", {})
    return shown


@pytest.mark.parametrize(
    "network, inside, outside",
    [
        ("203.0.113.0/24", "203.0.113.255", "203.0.114.0"),
        ("203.0.113.7", NEAR, "203.0.113.8"),
        ("203.0.113.7/32", "::ffff:203.0.113.7", FAR),
        ("0.0.0.0/0", FAR, "2001:db8::1"),
        ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
        ("fe80::/10", "fe80::1%eth0", "::1"),
        ("::/0", "2001:db8::1", NEAR),
        ("203.0.113.0/24", NEAR, ""),
        ("203.0.113.0/24", NEAR, "unix:"),
    ],
)
def test_network__allowed__holds_its_addresses_only(acme: Api, network: str, inside: str, outside: str) -> None:
    _, caller = make_token(acme, allowed_networks=[network])
    assert [status_from(caller, each) for each in (inside, outside)] == [200, 401]


@pytest.mark.parametrize(
    "value, at",
    [
        (["203.0.113.7/24"], "/0"),
        (["2001:db8::1/32"], "/0"),
        (["203.0.113.0/24", "203.0.113.0/33"], "/1"),
        (["203.0.113.0/255.255.255.0"], "/0"),
        (["203.0.113"], "/0"),
        (["0300.0.0.1"], "/0"),
        (["::ffff:203.0.113.0/120"], "/0"),
        (["fe80::1%eth0"], "/0"),
        (["example.com"], "/0"),
        (["\u0661.0.0.0/8"], "/0"),
        (["*"], "/0"),
        ([""], "/0"),
        ([7], "/0"),
        ([None], "/0"),
        ([], ""),
        (["10.0.0.0/8"] * 101, ""),
        ("10.0.0.0/8", ""),
    ],
)
def test_networks__invalid__are_refused_at_their_place(acme: Api, value: Any, at: str) -> None:
    body = {"resources": {}, "permission_set": "viewer", "allowed_networks": value}
    assert_problem(acme.post("/v1/tokens", body), 400, at=f"/allowed_networks{at}")
    block = {"permission_set": "connect-ui", "allowed_networks": value}
    assert_problem(acme.post("/v1/accounts", {"token": block}), 400, at=f"/token/allowed_networks{at}")


def test_networks__host_bits__are_refused_with_the_network_meant(acme: Api) -> None:
    body = {"resources": {}, "permission_set": "viewer", "allowed_networks": ["203.0.113.7/24"]}
    assert "203.0.113.0/24" in assert_problem(acme.post("/v1/tokens", body), 400)["message"]


def test_networks__given__are_kept_in_their_short_form_and_once(acme: Api) -> None:
    made, _ = make_token(acme, allowed_networks=["2001:DB8:0::/32", "2001:db8::/32", "203.0.113.7"])
    assert claims(acme, made["id"]) == {"allowed_networks": ["2001:db8::/32", "203.0.113.7/32"]}
    assert made["primary"]["refresh"]["claims"] == {"allowed_networks": ["2001:db8::/32", "203.0.113.7/32"]}


def test_networks__of_a_derived_token__are_within_its_parents(acme: Api) -> None:
    _, parent = make_token(acme, allowed_networks=["127.0.0.0/8", "203.0.113.0/24"])
    same, _ = make_token(parent)
    less, caller = make_token(parent, allowed_networks=["0.0.0.0/2", NEAR])
    assert claims(acme, same["id"])["allowed_networks"] == ["127.0.0.0/8", "203.0.113.0/24"]
    assert claims(acme, less["id"])["allowed_networks"] == ["203.0.113.7/32"]
    assert [status_from(caller, each) for each in (NEAR, "203.0.113.8", "10.0.0.1", FAR)] == [200, 401, 401, 401]
    body = {"resources": {}, "permission_set": "viewer", "allowed_networks": ["198.51.100.0/24"]}
    assert_problem(parent.post("/v1/tokens", body), 400, at="/allowed_networks")


def test_networks__of_tokens_made_elsewhere__hold_as_well(acme: Api) -> None:
    only = {"allowed_networks": ["203.0.113.0/24"]}
    block = ok(acme.post("/v1/accounts", {"token": {"permission_set": "connect-ui", **only}}))["token"]
    account = make_account(acme)["id"]
    integration = make_integration(acme, account)["id"]
    made = [
        block["primary"]["access"],
        ok(acme.post(f"/v1/tokens/{account}/{integration}", only)),
        ok(acme.post("/v1/tokens/mcp", {"scope": {"type": "management"}, **only})),
        ok(acme.post("/v1/tokens/synqly-integrations", only))["token"]["primary"]["access"],
    ]
    for token in made:
        assert token["claims"]["allowed_networks"] == only["allowed_networks"]
        assert status_from(Api(acme.id, token["secret"]), FAR) == 401
        assert status_from(Api(acme.id, token["secret"]), NEAR) in (200, 403)


def test_networks__of_a_token__hold_for_its_refresh(acme: Api) -> None:
    made, _ = make_token(acme, allowed_networks=["203.0.113.0/24"])
    sent = http_client(headers={"Authorization": f"Bearer {made['primary']['refresh']['secret']}"})
    path = f"/v1/tokens/{made['id']}/refresh"
    assert [sent.put(path, REMOTE_ADDR=each).status_code for each in (FAR, NEAR)] == [401, 200]


@pytest.mark.parametrize("forwarded", [NEAR, f"{NEAR}, {FAR}", f"{FAR}, {NEAR}", f"{NEAR},{NEAR},{NEAR}", "x"])
def test_networks__forwarded_address_without_a_proxy__does_not_help(acme: Api, forwarded: str) -> None:
    _, caller = make_token(acme, allowed_networks=["203.0.113.0/24"])
    assert status_from(caller, FAR, forwarded) == 401
    assert status_from(caller, NEAR, FAR) == 200


@pytest.mark.parametrize(
    "forwarded, status",
    [
        (NEAR, 200),
        (f"{FAR}, {NEAR}", 200),
        (f"{NEAR}:54321", 200),  # as some proxies write it
        (f"[::ffff:{NEAR}]:443", 200),
        ("[2001:db8::7]:443", 200),
        ("[2001:db8::7]", 200),
        (f"{FAR}:54321", 401),
        ("[2001:db9::7]:443", 401),
        (f"[{NEAR}", 401),
        (f"{NEAR}, {FAR}", 401),  # the proxy adds the address it sees behind what it was sent
        (f"{NEAR}, {NEAR}, {FAR}", 401),
        (f"{NEAR}, x", 401),
        ("", 401),
    ],
)
def test_networks__behind_a_trusted_proxy__hold_the_address_it_saw(
    acme: Api, settings: Any, forwarded: str, status: int
) -> None:
    settings.TRUSTED_PROXIES = 1
    _, caller = make_token(acme, allowed_networks=["203.0.113.0/24", "2001:db8::/32"])
    assert status_from(caller, "10.0.0.1", forwarded) == status


def test_last_use__noted__is_shown_in_list_and_info(acme: Api) -> None:
    made, caller = make_token(acme)
    assert claims(acme, made["id"]) == {}
    before = dt.datetime.now(dt.UTC)
    assert status_from(caller, NEAR) == 200
    noted = claims(acme, made["id"])
    assert noted["last_used_from"] == NEAR
    assert before <= dt.datetime.fromisoformat(noted["last_used_at"]) <= dt.datetime.now(dt.UTC)
    [listed] = [each for each in ok(acme.get("/v1/tokens")) if each["id"] == made["id"]]
    assert listed["primary"]["access"]["claims"] == noted
    assert status_from(caller, FAR) == 200  # within ten minutes nothing is written
    assert claims(acme, made["id"]) == noted
    with scoped(acme.scope):
        Token.objects.filter(id=made["id"]).update(used_at=before - dt.timedelta(minutes=10))
    assert status_from(caller, FAR) == 200
    assert claims(acme, made["id"])["last_used_from"] == FAR


def test_last_use__refused_request__is_not_noted(acme: Api) -> None:
    made, caller = make_token(acme, allowed_networks=["203.0.113.0/24"])
    assert status_from(caller, FAR) == 401
    assert "last_used_at" not in claims(acme, made["id"])


@pytest.mark.parametrize(
    "one, other, common",
    [
        (None, None, None),
        (["10.0.0.0/8"], None, ["10.0.0.0/8"]),
        (["10.0.0.0/8"], ["10.1.0.0/16", "11.0.0.0/8"], ["10.1.0.0/16"]),
        (["10.0.0.0/9", "10.128.0.0/9"], ["10.0.0.0/8"], ["10.0.0.0/8"]),
        (["10.0.0.0/8", "::/0"], ["2001:db8::/32", "10.0.0.1/32"], ["10.0.0.1/32", "2001:db8::/32"]),
        (["10.0.0.0/8"], ["11.0.0.0/8"], []),
    ],
)
def test_networks__in_common__lie_in_both(
    one: list[str] | None, other: list[str] | None, common: list[str] | None
) -> None:
    assert common_networks(one, other) == common_networks(other, one) == common
    assert lie_within(common, one)
    assert lie_within(common, other)
    assert not lie_within(None, ["0.0.0.0/0", "::/0"])
    assert not lie_within(["10.0.0.0/7"], ["10.0.0.0/8"])
