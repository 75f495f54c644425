"""Whatever the text, the answer is what the documents say, the same on both databases, and never a 5xx.

`Api.request` fails a test on any 500; these say which status it is instead, and that what was taken comes
back as it was sent.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from core.columns import fold, is_id
from core.fields import NAME_PATTERN
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.core.naughty import BROKEN_TEXTS, NAUGHTY
from tests.objects import HTTP_SINK, make_account, make_credential, make_integration, make_point, ok

Body = Callable[[str], dict[str, Any]]
Rule = Callable[[str], bool]


def is_name(text: str) -> bool:
    return re.fullmatch(NAME_PATTERN, text) is not None and not is_id(text)


def is_label(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z0-9_\-:.]{1,48}", text) is not None


def is_text(longest: int, shortest: int = 1) -> Rule:
    return lambda text: shortest <= len(text) <= longest


def is_url(text: str) -> bool:
    return text == "http://169.254.169.254/"  # it is an address; dialling it is refused


def nothing(text: str) -> bool:
    return False


@dataclasses.dataclass(frozen=True)
class Place:
    """One string of one body: how it gets in, which texts are good, and where it is shown (JSON Pointer)."""

    path: str
    body: Body
    is_good: Rule
    shown: str
    reserved: frozenset[str] = frozenset()
    every: int = 6  # which texts are tried: each place has others

    def takes(self, text: str) -> bool:
        return self.is_good(text) and text not in self.reserved


def mapping(**members: str) -> dict[str, Any]:
    return {
        "resource": "tickets",
        "actions": ["query"],
        "source": "s",
        "destination": "d",
        "data_type": "any",
    } | members


def sink(**members: Any) -> dict[str, Any]:
    return {"provider_config": HTTP_SINK, **members}


def config(**members: Any) -> dict[str, Any]:
    return {"provider_config": {**HTTP_SINK, **members}}


def point(**members: Any) -> dict[str, Any]:
    return {"connector": "sink", "environments": {}, **members}


TOKEN: dict[str, Any] = {"resources": {}, "permission_set": "viewer"}
LOOKUP = frozenset({"lookup"})
PLACES: dict[str, Place] = {
    "account name": Place("/v1/accounts", lambda t: {"name": t}, is_name, "/account/name", LOOKUP),
    "account fullname": Place("/v1/accounts", lambda t: {"fullname": t}, is_text(255), "/account/fullname"),
    "account label": Place("/v1/accounts", lambda t: {"labels": [t]}, is_label, "/account/labels/0"),
    "account environment": Place("/v1/accounts", lambda t: {"environment": t}, nothing, ""),
    "account unknown member": Place("/v1/accounts", lambda t: {f"x{t}": t}, nothing, ""),
    "account token name": Place(
        "/v1/accounts",
        lambda t: {"token": {"permission_set": "connect-ui", "name": t}},
        is_name,
        "/token/name",
    ),
    "account token set": Place("/v1/accounts", lambda t: {"token": {"permission_set": t}}, nothing, ""),
    "token name": Place("/v1/tokens", lambda t: {**TOKEN, "name": t}, is_name, "/name"),
    "token fullname": Place("/v1/tokens", lambda t: {**TOKEN, "fullname": t}, is_text(255), "/fullname"),
    "token time to live": Place("/v1/tokens", lambda t: {**TOKEN, "token_ttl": t}, nothing, ""),
    "token account": Place(
        "/v1/tokens", lambda t: {**TOKEN, "resources": {"accounts": {"ids": [t]}}}, lambda t: t == "*", ""
    ),
    "token account label": Place(
        "/v1/tokens",
        lambda t: {**TOKEN, "resources": {"accounts": {"ids": ["*"], "labels": [t]}}},
        is_text(48),
        "/primary/access/permissions/adhoc_role/resources/accounts/labels/0",
    ),
    "credential name": Place(
        "/v1/credentials/{account}", lambda t: {"name": t, "config": {"type": "token", "secret": "s"}}, is_name, "/name"
    ),
    "credential secret": Place(
        "/v1/credentials/{account}", lambda t: {"config": {"type": "token", "secret": t}}, is_text(65_536), ""
    ),
    "credential extra": Place(
        "/v1/credentials/{account}",
        lambda t: {"config": {"type": "o_auth_client", "client_id": "i", "client_secret": "s", "extra": {f"k{t}": t}}},
        is_text(65_536),
        "",
    ),
    "credential type": Place("/v1/credentials/{account}", lambda t: {"config": {"type": t}}, nothing, ""),
    "credential expiry": Place(
        "/v1/credentials/{account}", lambda t: {"expires": t, "config": {"type": "token", "secret": "s"}}, nothing, ""
    ),
    "point name": Place("/v1/integration-points", lambda t: point(name=t), is_name, "/name", LOOKUP),
    "point description": Place(
        "/v1/integration-points", lambda t: point(description=t), is_text(2048, 0), "/description"
    ),
    "point connector": Place("/v1/integration-points", lambda t: point(connector=t), nothing, ""),
    "point provider": Place(
        "/v1/integration-points", lambda t: point(environments={"test": [t]}), lambda t: t == "*", ""
    ),
    "point mapping": Place(
        "/v1/integration-points",
        lambda t: point(additional_mappings=[{**mapping(destination=t), "providers": ["*"]}]),
        is_text(1024),
        "/additional_mappings/0/destination",
    ),
    "point mapping reference": Place(
        "/v1/integration-points",
        lambda t: point(mappings=[{"mappings": [t], "operation_ids": [], "providers": ["*"]}]),
        nothing,
        "",
    ),
    "integration fullname": Place(
        "/v1/integrations/{account}", lambda t: sink(fullname=t), is_text(255), "/integration/fullname"
    ),
    "integration type": Place("/v1/integrations/{account}", lambda t: {"provider_config": {"type": t}}, nothing, ""),
    "integration url": Place("/v1/integrations/{account}", lambda t: config(url=t), is_url, ""),
    "integration header": Place(
        "/v1/integrations/{account}", lambda t: config(static_headers={"X": t}), is_text(2048, 0), ""
    ),
    "integration header name": Place(
        "/v1/integrations/{account}", lambda t: config(static_headers={f"x{t}": "s"}), is_text(511, 0), ""
    ),
    "integration webhook": Place(
        "/v1/integrations/{account}", lambda t: sink(webhook_config={"items": [{"webhook_url": t}]}), is_url, ""
    ),
    "integration webhook key": Place(
        "/v1/integrations/{account}",
        lambda t: sink(webhook_config={"items": [{"webhook_url": "https://x.example/", "integrator_key": t}]}),
        is_text(64, 3),
        "",
    ),
    "integration bridge": Place(
        "/v1/integrations/{account}", lambda t: sink(bridge_selector={"type": "id", "value": t}), nothing, ""
    ),
    "integration bridge label": Place(
        "/v1/integrations/{account}",
        lambda t: sink(bridge_selector={"type": "labels", "value": [t]}),
        is_label,
        "/integration/bridge_selector/value/0",
    ),
}


def value_at(document: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        document = document[int(step) if isinstance(document, list) else step]
    return document


@pytest.fixture
def filled(acme: Api) -> dict[str, str]:
    """What the addresses of the places name."""
    return {"account": make_account(acme, name="north")["id"]}


@pytest.mark.parametrize("name", PLACES)
def test_text__anywhere__is_taken_as_it_is_or_refused_at_its_place(
    acme: Api, filled: dict[str, str], name: str
) -> None:
    place = PLACES[name]
    path, taken = place.path.format(**filled), 0
    for text in NAUGHTY[len(name) % place.every :: place.every]:
        answer = acme.post(path, place.body(text))
        if not place.takes(text):
            problem = assert_problem(answer, 400)
            assert problem["context"]["parameter"]["location"] == "body", (text, problem)
            continue
        result = ok(answer)
        taken += 1
        if place.shown:
            assert value_at(result, place.shown) == text
    if taken and path.count("/") == 2 and "tokens" not in path:
        assert len(ok(acme.get(path, query={"limit": 1000}))) >= taken


@pytest.mark.parametrize("name", PLACES)
def test_bytes_that_are_no_text__anywhere__are_malformed(acme: Api, filled: dict[str, str], name: str) -> None:
    place = PLACES[name]
    path, sent = place.path.format(**filled), orjson.dumps(place.body("MARK"))
    assert b"MARK" in sent
    for broken in BROKEN_TEXTS:
        assert_problem(acme.post(path, sent.replace(b"MARK", broken)), 400, "malformed-body")
    assert_problem(acme.post(path, b"\xef\xbb\xbf" + sent), 400, "malformed-body")


def test_list_with_every_text__filters_orders_and_pages_to_each(acme: Api) -> None:
    texts = [text for text in NAUGHTY if len(text) <= 255]
    ids = {make_account(acme, fullname=text)["id"]: text for text in texts}
    shown = ok(acme.get("/v1/accounts", query={"limit": 1000, "order": "fullname"}))
    assert [each["fullname"] for each in shown] == sorted(texts)  # by code point on both databases
    paged: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = ok(acme.get("/v1/accounts", query={"limit": 97, "order": "fullname[desc]", **cursor}))
        paged += [each["id"] for each in page]
        if len(page) < 97:
            break
        cursor = {"start_after": page[-1]["name"]}
    assert sorted(paged) == sorted(ids)
    assert [ids[each] for each in paged] == sorted(texts, reverse=True)
    for text in texts:
        found = ok(acme.get("/v1/accounts", query={"filter": f"fullname[eq]{text}"}))
        assert [each["fullname"] for each in found] == [text]
        after = acme.get("/v1/accounts", query={"filter": f"fullname[gte]{text}", "total": "true", "limit": 1})
        assert after.json()["total"] == sum(other >= text for other in texts), text


def test_like__every_text__means_itself_but_for_its_wildcards(acme: Api) -> None:
    # SQLite takes the two last for U+FFFD when it compares a pattern.
    texts = [text for text in NAUGHTY if len(text) <= 255 and not {"\ufffe", "\uffff"} & set(text)]
    for text in texts:
        make_account(acme, fullname=text)
    folded = [re.sub("[A-Z]", lambda found: found[0].lower(), text) for text in texts]
    for text, mine in list(zip(texts, folded, strict=True))[::2]:
        query = {"filter": f"fullname[like]{text}", "limit": 1000, "total": "true"}
        if sum(map(text.count, "%*")) > 5 or len(text) > 100:
            assert_problem(acme.get("/v1/accounts", query=query), 400, at="filter")
            continue
        pattern = re.compile("".join(".*" if c in "%*" else re.escape(c) for c in mine), re.DOTALL)
        expected = sum(pattern.fullmatch(other) is not None for other in folded)
        assert acme.get("/v1/accounts", query=query).json()["total"] == expected, text


# --- addresses, queries, headers -----------------------------------------------------------------

ADDRESSES = ("accounts/{}", "credentials/{}/x", "credentials/lookup/{}", "integrations/{}/x", "integration-points/{}",
             "tokens/{}/info", "capabilities/providers/{}")  # fmt: skip


def test_text_as_identifier__of_every_resource__is_not_found(acme: Api) -> None:
    account, position = make_account(acme, name="north")["id"], itertools.count()
    make_credential(acme, account), make_integration(acme, account), make_point(acme)
    for text in NAUGHTY[::2]:
        if "/" in text or text in (".", "..", "?", "#") or {"?", "#"} & set(text):
            continue  # these change the address; percent-encoded they are below
        address = ADDRESSES[next(position) % len(ADDRESSES)].format(text)
        assert_problem(acme.get(f"/v1/{address}"), 404, "not-found")
        path = ("accounts", f"integrations/{account}", f"credentials/{account}")[next(position) % 3]
        assert_problem(acme.delete(f"/v1/{path}/{text}"), 404, "not-found")
    assert ok(acme.get(f"/v1/accounts/{account}"))


@pytest.mark.parametrize(
    "identifier",
    [
        "%00",
        "x%00",
        "%ED%A0%80",
        "%C0%AF",
        "%FF",
        "%2F",
        "..%2f..",
        "%3F",
        "%23",
        "%25",
        "%0a",
        "%E2%80%AE",
        "%F0%9F%98%80",
    ],
)
@pytest.mark.parametrize("address", ADDRESSES)
def test_escaped_identifier__of_every_resource__is_not_found(acme: Api, address: str, identifier: str) -> None:
    assert_problem(acme.get(f"/v1/{address.format(identifier)}"), 404, "not-found")


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", "urn:uuid:{}", " {}", "{} "])
def test_other_spelling_of_an_id__names_nothing(acme: Api, spelling: str) -> None:
    made = make_account(acme)["id"]
    assert_problem(acme.get(f"/v1/accounts/{spelling.format(made.replace('-', ''))}"), 404)
    for each in (made, made.upper()):  # names are compared without case, and so is an id
        answer = acme.get(f"/v1/accounts/{spelling.format(each)}")
        assert answer.status_code == (200 if spelling == "{}" else 404)


@pytest.mark.parametrize("parameter", ["limit", "order", "filter", "expand", "total"])
def test_text_as_query__of_a_list__is_refused_at_its_parameter(acme: Api, parameter: str) -> None:
    for text in NAUGHTY:
        good = parameter == "limit" and text.isascii() and text.isdigit() and 1 <= int(text) <= 1000
        good |= parameter == "order" and text in ("id", "name")
        good |= parameter == "total" and text == "true"
        good |= parameter == "expand" and text == "all"
        answer = acme.get("/v1/integrations", query={parameter: text})
        if good:
            assert answer.status_code == 200, (text, answer.content)
        else:
            assert_problem(answer, 400, at=parameter)


@pytest.mark.parametrize(
    "field", ["id", "created_at", "updated_at", "organization_id", "environment", "labels", "name", "nothing"]
)
def test_text_as_value_of_a_filter__of_each_type__is_empty_or_refused(acme: Api, field: str) -> None:
    make_account(acme, name="north", labels=["gold"])
    for text, op in itertools.product(NAUGHTY[len(field) % 3 :: 3], ("eq", "in")):
        answer = acme.get("/v1/accounts", query={"filter": f"{field}[{op}]{text}"})
        wanted = f"{field}[{op}]{text}"
        is_open = field == "name" or (field == "labels" and text.strip() and (op == "eq" or text.strip(", ")))
        if field in ("created_at", "updated_at") and text == "0001-01-01T00:00:00Z":
            assert ok(answer) == []
        elif is_open and len(wanted) <= 1024:
            assert ok(answer) == [], wanted
        else:
            assert_problem(answer, 400, at="filter")


def test_text_as_start_after__of_a_list__seeks_or_is_refused(acme: Api) -> None:
    make_account(acme, name="north")
    for text in NAUGHTY:
        answer = acme.get("/v1/accounts", query={"start_after": text})
        if len(text) > 255:
            assert_problem(answer, 400, at="start_after")
        else:
            assert ok(answer) == [] if fold(text) > "north" else len(ok(answer)) == 1
        assert_problem(
            acme.get("/v1/accounts", query={"start_after": text, "order": "created_at"}), 400, at="start_after"
        )


@pytest.mark.parametrize(
    "query", ["filter=name%5Beq%5D%00", "start_after=%00", "limit=%00", "order=%00", "x%00=1", "expand=%00"]
)
def test_nul_in_a_query__is_refused(acme: Api, query: str) -> None:
    assert_problem(acme.get(f"/v1/integrations?{query}"), 400)


@pytest.mark.parametrize("query", ["&" * 3000, "=&=", "limit=1&limit=2", "a=1&" * 2000, "%", "%zz", ";", "limit[]=1"])
def test_odd_query__is_refused_or_ignored(acme: Api, query: str) -> None:
    answer = acme.get(f"/v1/accounts?{query}")
    assert answer.status_code == (200 if query.strip("&") == "" and len(query) < 1000 else 400), answer.content


@pytest.mark.parametrize(
    "header", ["Authorization", "If-Match", "If-None-Match", "Accept", "X-Forwarded-For", "User-Agent"]
)
def test_text_as_header__is_refused_or_ignored(acme: Api, header: str) -> None:
    account = make_account(acme)["id"]
    method = "DELETE" if header == "If-Match" else "GET"
    for text in NAUGHTY:
        value = text.encode().decode("latin-1")  # how a server hands bytes over
        answer = acme.request(method, f"/v1/accounts/{account}", headers={header: value})
        if header == "Authorization":
            assert_problem(answer, 401, "unauthenticated")
        elif header.startswith("If-"):
            if value.strip() == "*":
                assert answer.status_code == (204 if method == "DELETE" else 304)
                account = make_account(acme)["id"]
            else:
                assert_problem(answer, 400, at=header)
        else:
            assert answer.status_code == 200, (text, answer.content)
