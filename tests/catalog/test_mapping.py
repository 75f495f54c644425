"""Mappings: documents, versions, references and chains."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.db import connection

from catalog.mappings.evaluation import POOL
from catalog.mappings.models import MappingVersion
from core.columns import new_id
from core.tenancy import scoped
from tests.api import Api
from tests.contract.problems import assert_problem
from tests.objects import make_account, make_integration, make_point, ok

TICKET = {"key": "A-1", "summary": "Leak", "priority": "high", "tags": [{"name": "x"}, {"name": "y"}], "owner": None}
MOCK = {"type": "ticketing_mock_ticketing"}


def make_mapping(api: Api, data: Any, name: str = "tickets") -> dict[str, Any]:
    text = data if isinstance(data, str) else orjson.dumps(data).decode()
    shown: dict[str, Any] = ok(api.post("/v1/mappings", {"name": name, "data": text}))["mapping"]
    return shown


def save(api: Api, name: str, data: str) -> None:
    ok(api.patch(f"/v1/mappings/{name}", [{"op": "replace", "path": "/data", "value": data}]))


def apply(api: Api, *mappings: str, data: Any = TICKET, **query: Any) -> Any:
    return api.post("/v1/mappings/apply", {"mappings": list(mappings), "data": data}, query=query)


def applied(api: Api, *mappings: str, data: Any = TICKET, **query: Any) -> Any:
    return ok(apply(api, *mappings, data=data, **query))["mapping"]


# --- documents -----------------------------------------------------------------------------------


def test_mapping__document__is_the_output_with_its_expressions_replaced(acme: Api) -> None:
    make_mapping(
        acme,
        """
        severity: $uppercase(priority)
        title: summary & ' (' & key & ')'
        labels: '[tags.name]'
        constant: {number: 1, flag: true, nothing: null, text: '"as it is"'}
        list: [key, missing, 2]
        absent: missing
        nobody: owner
        """,
    )
    assert applied(acme, "tickets") == {
        "severity": "HIGH",
        "title": "Leak (A-1)",
        "labels": ["x", "y"],
        "constant": {"number": 1, "flag": True, "nothing": None, "text": "as it is"},
        "list": ["A-1", 2],
        "nobody": None,
    }


@pytest.mark.parametrize(
    "data, output",
    [
        ({"a": "key"}, {"a": "A-1"}),
        ({}, {}),
        ("|\n  $merge([$, {'extra': 1}])", {**TICKET, "extra": 1}),
        ("'$'", TICKET),
        ({"a": {"b": [{"c": "tags[0].name"}]}}, {"a": {"b": [{"c": "x"}]}}),
        ({"a": "$map(tags, function($t) { $t.name & '!' })"}, {"a": ["x!", "y!"]}),
        ({"a": "$replace(key, /([A-Z])-(\\d)/, '$2$1$3')"}, {"a": "1A"}),
        ({"a": "$match(summary, /e(.)/).groups[0]"}, {"a": "a"}),
        ({"a": "$contains(summary, /LEAK/i)"}, {"a": True}),
        ({"a": "$eval('key & key')"}, {"a": "A-1A-1"}),
        ({"a": "$exists(owner)", "b": "$exists(nobody)"}, {"a": True, "b": False}),
        ({"a~/b": "6 / 2"}, {"a~/b": 3}),
    ],
)
def test_mapping__applied__gives(acme: Api, data: Any, output: Any) -> None:
    make_mapping(acme, data)
    assert applied(acme, "tickets") == output


@pytest.mark.parametrize(
    "data, said",
    [
        ("a: &x b\nc: *x", "anchors"),
        ("a: 1\na: 2", "/a (line 2): the key is there twice"),
        ("[a]", "must be an object"),
        ("12", "must be an object"),
        ("# nothing", "must be an object"),
        ("a: [b: {c: 'x['}]", "/a/0/b/c: Expected ] before end of expression"),
        ("a~b: {/: '1 +'}", "/a~0b/~1: "),
        ("a: ''", "/a: Unexpected end of expression"),
        ("a: '(?=x)/'", "/a: "),
        ("a: $match(a, /(?=x)/)", "/a: cannot be evaluated"),
        ("a: '" + "(" * 5000 + "1" + ")" * 5000 + "'", "/a: is nested too deep"),
    ],
)
def test_mapping__document_or_expression_that_is_wrong__is_refused_by_place(acme: Api, data: str, said: str) -> None:
    answer = acme.post("/v1/mappings", {"name": "wrong", "data": data})
    problem = assert_problem(answer, 400, at="/data")
    assert said in problem["message"]
    assert acme.get("/v1/mappings/wrong").status_code == 404


def test_mapping__several_expressions_wrong__names_each(acme: Api) -> None:
    answer = acme.post("/v1/mappings", {"data": "a: '['\nb: key\nc: '1 +'"})
    problem = assert_problem(answer, 400, at="/data")
    assert [cause["message"].split(": ")[1] for cause in problem["cause"]] == ["/a", "/c"]


def test_mapping__listed__has_no_document(acme: Api) -> None:
    made = make_mapping(acme, {"a": "key"})
    listed = ok(acme.get("/v1/mappings"))
    assert [{**shown, "data": made["data"]} for shown in listed] == [made]


# --- versions ------------------------------------------------------------------------------------


def test_mapping__every_save__is_a_version(acme: Api) -> None:
    made = make_mapping(acme, "v: 1")
    save(acme, "tickets", "v: 2")
    shown = ok(acme.get("/v1/mappings/tickets"))
    ok(acme.put("/v1/mappings/tickets", shown | {"fullname": "Tickets"}))
    versions = ok(acme.get("/v1/mappings/tickets/versions"))
    assert [each["version"] for each in versions] == [3, 2, 1]
    assert versions[2]["created_at"] == made["updated_at"]
    assert [ok(acme.get(f"/v1/mappings/{made['id']}:{n}"))["data"] for n in (1, 2, 3)] == ["v: 1", "v: 2", "v: 2"]
    assert [applied(acme, f"tickets:{n}")["v"] for n in (1, 2, 3)] == [1, 2, 2]
    assert applied(acme, "tickets") == applied(acme, made["id"]) == applied(acme, "TICKETS") == {"v": 2}
    acme.delete("/v1/mappings/tickets")
    with scoped(acme.scope):
        assert not MappingVersion.objects.exists()


@pytest.mark.parametrize("version", ["0", "2", "-1", "x", "", "1:1", "99999999999", "\u0661", "1.0", " 1"])
def test_mapping__version_that_is_not__does_not_exist(acme: Api, version: str) -> None:
    make_mapping(acme, "v: 1")
    assert_problem(apply(acme, f"tickets:{version}"), 400, at="/mappings/0")
    assert acme.get(f"/v1/mappings/tickets:{version}").status_code == 404


def test_mapping__refused_save__is_no_version(acme: Api) -> None:
    made = make_mapping(acme, "v: 1")
    assert_problem(acme.put("/v1/mappings/tickets", made | {"data": "v: '['"}), 400, at="/data")
    stale = made | {"data": "v: 2", "updated_at": "2020-01-01T00:00:00.000000Z"}
    assert_problem(acme.put("/v1/mappings/tickets", stale), 409)
    assert len(ok(acme.get("/v1/mappings/tickets/versions"))) == 1


def test_mapping__every_way_to_check_it__holds_no_lock_meanwhile(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ask, locked, outside = POOL.ask, [], len(connection.savepoint_ids)  # the test itself is in a transaction

    def watched(request: dict[str, Any]) -> Any:
        locked.append(len(connection.savepoint_ids) > outside)
        return ask(request)

    monkeypatch.setattr(POOL, "ask", watched)
    made = make_mapping(acme, "v: 1")
    ok(acme.put("/v1/mappings/tickets", made | {"data": "v: 2"}))
    save(acme, "tickets", "v: 3")
    assert_problem(acme.put("/v1/mappings/tickets", made | {"data": "v: '['"}), 400, at="/data")
    assert applied(acme, "tickets") == {"v": 3}
    assert locked == [False] * 5


def test_mapping__changed_while_a_patch_is_checked__never_gets_its_old_document_back(
    acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = POOL.ask

    def interrupted(request: dict[str, Any]) -> Any:
        answer = ask(request)
        monkeypatch.undo()
        save(acme, "tickets", "v: 2")
        return answer

    make_mapping(acme, "v: 1")
    monkeypatch.setattr(POOL, "ask", interrupted)
    rename = [{"op": "replace", "path": "/fullname", "value": "Tickets"}]
    assert_problem(acme.patch("/v1/mappings/tickets", rename), 409)
    ok(acme.patch("/v1/mappings/tickets", rename))
    monkeypatch.setattr(POOL, "ask", interrupted)
    save(acme, "tickets", "v: 3")
    shown = ok(acme.get("/v1/mappings/tickets"))
    assert (shown["fullname"], shown["data"]) == ("Tickets", "v: 3")


# --- chains --------------------------------------------------------------------------------------


def test_apply__chain__feeds_each_output_to_the_next(acme: Api) -> None:
    make_mapping(acme, {"n": "n + 1"}, "increment")
    make_mapping(acme, {"n": "n * 10"}, "tenfold")
    assert applied(acme, "increment", "tenfold", "increment", data={"n": 1}) == {"n": 21}
    assert applied(acme, *["increment"] * 20, data={"n": 0}) == {"n": 20}
    assert_problem(apply(acme, *["increment"] * 21, data={"n": 0}), 400, at="/mappings")
    assert_problem(apply(acme, data={}), 400, at="/mappings")


def test_apply__include_raw_data__gives_the_input_as_text(acme: Api) -> None:
    make_mapping(acme, {"a": "key"})
    shown = applied(acme, "tickets", include_raw_data="true")
    assert shown.pop("raw_data") == orjson.dumps(TICKET).decode()
    assert shown == applied(acme, "tickets", include_raw_data="false") == {"a": "A-1"}
    assert_problem(apply(acme, "tickets", include_raw_data="1"), 400, at="include_raw_data")


@pytest.mark.parametrize(
    "data, said",
    [
        ("a: $error('no such')", "/a: no such"),
        ("a: {b: 1 / 0}", "/a/b: cannot be evaluated"),
        ("a: key + 1", "/a: The left side"),
        ("a: $nope()", "/a: Attempted to invoke"),
        ("a: $sum", "/a: gives a function"),
        ("key", "the document: gives no object"),
        ("nobody", "the document: gives no object"),
        ("a: $power(2, 62) * 8", "/a: "),
        ("a: '\"\\u0000\"'", "U+0000"),
    ],
)
def test_apply__expression_that_fails__is_told_by_mapping_and_place(acme: Api, data: str, said: str) -> None:
    make_mapping(acme, {"n": "$"}, "fine")
    make_mapping(acme, data, "failing")
    problem = assert_problem(apply(acme, "failing", "fine"), 400, "mapping-failed")
    assert said in problem["message"]
    assert "/mappings" in problem["context"]["parameter"]["id"]


def test_apply__of_another_organization__does_not_exist(acme: Api, globex: Api) -> None:
    mapping = make_mapping(globex, {"a": "key"})
    for reference in (mapping["id"], "tickets", "tickets:1"):
        assert_problem(apply(acme, reference), 400, at="/mappings/0")


def test_apply__one_call__leaves_nothing_for_the_next(acme: Api) -> None:
    make_mapping(acme, {"a": "($hidden := key; $hidden)"}, "first")
    make_mapping(acme, {"a": "$hidden", "b": "$exists($hidden)"}, "second")
    assert applied(acme, "first") == {"a": "A-1"}
    assert applied(acme, "second") == {"b": False}


# --- what uses mappings --------------------------------------------------------------------------


def test_mapping__used_by_an_integration_or_point__is_neither_deleted_nor_renamed(acme: Api) -> None:
    account = make_account(acme)["id"]
    for name in ("one", "two", "three"):
        make_mapping(acme, {"a": "key"}, name)
    save(acme, "one", "b: key")
    chain = {"operation_ids": ["ticketing_query_tickets"]}
    template = {"mappings": ["two"], "providers": ["*"], **chain}
    point = make_point(acme, connector="ticketing", environments={"test": ["*"], "prod": ["*"]}, mappings=[template])
    mappings = [{"mappings": ["one:1", "ONE"], **chain}]
    integration = make_integration(acme, account, MOCK, mappings=mappings)
    copied = make_integration(acme, account, MOCK, integration_point_id=point["id"])
    assert copied["mappings"] == [{"mappings": ["two"], **chain}]

    assert holders(acme, "one") == [("integration", integration["id"])]
    assert holders(acme, "two") == sorted([("integration", copied["id"]), ("integration_point", point["id"])])
    renamed = [{"op": "replace", "path": "/name", "value": "other"}]
    assert_problem(acme.patch("/v1/mappings/one", renamed), 409, "in-use")
    save(acme, "one", "c: key")

    url = f"/v1/integrations/{account}/{integration['id']}"
    ok(acme.patch(url, [{"op": "replace", "path": "/mappings/0/mappings", "value": ["three"]}]))
    ok(acme.patch("/v1/mappings/one", renamed))
    assert acme.delete("/v1/mappings/other").status_code == 204
    ok(acme.patch(f"/v1/integration-points/{point['id']}", [{"op": "remove", "path": "/mappings"}]))
    assert holders(acme, "two") == [("integration", copied["id"])]
    assert acme.delete(url).status_code == 204
    assert acme.delete("/v1/mappings/three").status_code == 204


def holders(api: Api, mapping: str) -> list[tuple[str, str]]:
    """What stands in the way of deleting a mapping."""
    problem = assert_problem(api.delete(f"/v1/mappings/{mapping}"), 409, "in-use")
    return sorted((each["type"], each["id"]) for each in problem["context"]["resources"])


@pytest.mark.parametrize("reference", ["none", "tickets:2", "tickets:x", new_id(), f"{new_id()}:1"])
def test_integration__mapping_that_is_not_there__is_refused(acme: Api, reference: str) -> None:
    account = make_account(acme)["id"]
    make_mapping(acme, {"a": "key"})
    mappings = [{"mappings": ["tickets:1", reference], "operation_ids": []}]
    body = {"provider_config": MOCK, "mappings": mappings}
    assert_problem(acme.post(f"/v1/integrations/{account}", body), 400, at="/mappings/0/mappings/1")
