"""The list protocol, of every list: limit, order, start_after, filter, total and the `Link` to the next page."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.columns import column_at, is_id, new_id, wire_value
from core.filters import MembershipFilter, TextFilter, WireFilter, filter_names
from core.tenancy import scoped, unscoped
from tests.api import Api
from tests.contract.faces import Face, having
from tests.contract.made import Made, make
from tests.contract.problems import assert_problem

ORDERS = [(face, field) for face in having("list") for field in face.viewset.orders]
FILTERS = [(face, field) for face in having("list") for field in filter_names(face.viewset.filterset_class)]
SORTED_BY_ITSELF = frozenset({"id", "name"})


def listed(api: Api, url: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(url, query=query)
    assert answer.status_code == 200, answer.content
    result: list[dict[str, Any]] = answer.json()["result"]
    return result


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__limit__is_from_1_to_1000(face: Face, acme: Api) -> None:
    url = crowd(face, acme)
    assert len(listed(acme, url, limit="1")) == 1
    assert len(listed(acme, url, limit="1000")) == len(listed(acme, url)) >= 3
    for wrong in ("0", "1001", "-1", "", "1.0", "+1", "1e1", " 1", "\u0661", "x", "99999999999999999999"):
        assert_problem(acme.get(url, query={"limit": wrong}), 400, at="limit")
    assert_problem(acme.get(url, query=[("limit", "1"), ("limit", "2")]), 400, at="limit")


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__link__leads_through_every_page(face: Face, acme: Api) -> None:
    url = crowd(face, acme)
    everything, seen = ids(listed(acme, url, limit=1000)), []
    answer = acme.get(url, query={"limit": 2, "order": "id[desc]"})
    while (link := answer.headers.get("Link")) is not None:
        seen += ids(answer.json()["result"])
        target = re.fullmatch(r'<([^<>]+)>; rel="next"', link)
        assert target
        assert urlsplit(target[1]).path == url
        assert ("order", "id[desc]") in parse_qsl(urlsplit(target[1]).query)
        answer = acme.get(target[1])
        assert answer.status_code == 200
    seen += ids(answer.json()["result"])
    assert len(answer.json()["result"]) < 2
    assert seen == sorted(everything, reverse=True)


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__total__counts_what_the_filter_keeps(face: Face, acme: Api) -> None:
    made = [make(face, acme) for _ in range(3)]
    url = made[0].url("list")
    if not face.viewset.totals:
        assert_problem(acme.get(url, query={"total": "true"}), 400, at="total")
        return
    answer = acme.get(url, query={"total": "true", "limit": 1}).json()
    assert answer["total"] == len(listed(acme, url, limit=1000))
    kept = acme.get(url, query={"total": "true", "filter": f"id[in]{made[0].id},{made[1].id}", "limit": 1}).json()
    assert kept["total"] == 2
    assert "total" not in acme.get(url, query={"total": "false"}).json()
    assert_problem(acme.get(url, query={"total": "1"}), 400, at="total")


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__unknown_order__names_the_allowed(face: Face, acme: Api) -> None:
    url = make(face, acme).url("list")
    for wrong in ("surprise", "id[up]", "id[", "id]", "-id", "", "pk", "organization__name", "id[asc],name"):
        problem = assert_problem(acme.get(url, query={"order": wrong}), 400, at="order")
        assert all(name in problem["message"] for name in face.viewset.orders)


@pytest.mark.parametrize("face, field", ORDERS, ids=str)
def test_list__declared_order__sorts(face: Face, field: str, acme: Api) -> None:
    made = [make(face, acme) for _ in range(3)]
    url = made[0].url("list")
    rising = listed(acme, url, order=f"{field}[asc]")
    assert listed(acme, url, order=field) == rising
    assert ids(listed(acme, url, order=f"{field}[desc]")) == ids(rising)[::-1]
    assert {each.id for each in made} <= set(ids(rising))
    if all(field in row for row in rising):
        assert [row[field] for row in rising] == sorted(row[field] for row in rising)


@pytest.mark.parametrize("face", having("list"), ids=str)
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_list__walked_by_start_after__gives_every_row_once(face: Face, data: st.DataObject, acme: Api) -> None:
    """Under every declared order and direction, for every size of page, however many rows tie."""
    url = crowd(face, acme)
    tie(face, acme, data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=8), label="ties"))
    fields = data.draw(st.lists(st.sampled_from(list(face.viewset.orders)), max_size=3, unique=True), label="fields")
    order = [f"{f}[{data.draw(st.sampled_from(['asc', 'desc']))}]" for f in fields]
    limit = data.draw(st.integers(1, 5), label="limit")
    whole = ids(listed(acme, url, limit=1000, order=order))
    assert len(whole) == len(set(whole)) >= 8
    walked: list[dict[str, Any]] = []
    page = listed(acme, url, limit=limit, order=order)
    while page:
        assert len(page) <= limit
        walked += page
        cursor = page[-1]["name" if face.viewset.unique_names else "id"]
        page = listed(acme, url, limit=limit, order=order, start_after=cursor)
    assert ids(walked) == whole


def crowd(face: Face, api: Api) -> str:
    """The address of a list of at least eight rows."""
    made = make(face, api)
    for _ in range(8 - len(listed(api, made.url("list"), limit=1000))):
        make(face, api)
    return made.url("list")


def tie(face: Face, api: Api, groups: list[int]) -> None:
    """Gives rows of one group the same value in every column that they can be ordered by."""
    model: Any = face.viewset.serializer_class.Meta.model
    columns = [path for path in face.viewset.orders.values() if path not in SORTED_BY_ITSELF and "__" not in path]
    with scoped(api.scope):
        rows = list(model.objects.order_by("id"))
        for i, row in enumerate(rows):
            same_as = rows[groups[i % len(groups)] % len(rows)]
            values = {column: getattr(same_as, column) for column in columns}
            model.objects.filter(pk=row.pk).update(**values)


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__start_after_something_gone__says_so_or_seeks(face: Face, acme: Api) -> None:
    url = crowd(face, acme)
    assert_problem(acme.get(url, query={"start_after": "gone", "order": "id"}), 400, at="start_after")
    assert_problem(acme.get(url, query={"start_after": "x" * 300}), 400, at="start_after")
    assert_problem(acme.get(url + "?start_after=%00"), 400, at="start_after")
    if face.viewset.unique_names:
        assert listed(acme, url, start_after="ZZZZ") == listed(acme, url, start_after="zzzz") == []
        assert listed(acme, url, start_after="-") == listed(acme, url)


def wire_text(face: Face, made: Made, declared: WireFilter) -> str | None:
    """The made object's own value of a filterable field, as the wire writes it."""
    model: Any = face.viewset.serializer_class.Meta.model
    path = str(declared.field_name)
    with unscoped("a test looks at what it made"):
        values = list(model.objects.filter(pk=made.id).values_list(path, flat=True))
    value = wire_value(column_at(model, path), values[0])
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("face, field", FILTERS, ids=str)
def test_list__declared_filter__keeps_what_it_says(face: Face, field: str, acme: Api) -> None:
    made = make(face, acme)
    declared = filter_names(face.viewset.filterset_class)[field]
    own = wire_text(face, made, declared)
    for op in (*declared.operators, *(["neq"] if "ne" in declared.operators else [])):
        value = (own or new_id()).replace(",", "\\,") if op in ("in", "not in") else own or new_id()
        if own is None and not is_valid(declared, value):
            continue
        kept = made.id in ids(listed(acme, made.url("list"), filter=f"{field}[{op}]{value}"))
        expected = op in ("eq", "gte", "lte", "in", "like")
        assert kept == (expected if own is not None else not expected and op not in ("gt", "lt")), op


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__name_in_other_case__is_the_same_name(face: Face, acme: Api) -> None:
    if not face.viewset.unique_names:
        pytest.skip("its objects have no names of their own")
    url = crowd(face, acme)
    everything = listed(acme, url)
    names = [each["name"] for each in everything]
    shouted = names[1].upper()
    assert shouted != names[1]
    for filter_, kept in (
        (f"name[eq]{shouted}", names[1:2]),
        (f"name[ne]{shouted}", names[:1] + names[2:]),
        (f"name[in]{shouted},{names[0]}", names[:2]),
        (f"name[like]{shouted}", names[1:2]),
        (f"name[gt]{shouted}", names[2:]),
    ):
        assert [each["name"] for each in listed(acme, url, filter=filter_)] == kept, filter_
    for order in ("name", "id", "id[desc]"):
        query = {"order": order} if order.partition("[")[0] in face.viewset.orders else {}
        assert listed(acme, url, start_after=shouted, **query) == listed(acme, url, start_after=names[1], **query)


@pytest.mark.parametrize("op", ["like", "not like"])
@pytest.mark.parametrize(
    "pattern, bound",
    [("%" + "x" * 99, ""), ("%" + "x" * 100, "100 characters"), ("a*" * 5, ""), ("a*" * 6, "5 wildcards")],
)
def test_list__pattern_that_would_take_long__is_refused_with_the_bound(
    op: str, pattern: str, bound: str, acme: Api
) -> None:
    answer = acme.get("/v1/accounts", query={"filter": f"fullname[{op}]{pattern}"})
    if not bound:
        assert answer.status_code == 200
        return
    message = assert_problem(answer, 400, at="filter")["message"]
    assert message.startswith("the value of 'fullname'")
    assert message.endswith(f"more than {bound}")


def is_valid(declared: WireFilter, value: str) -> bool:
    """Whether an id is a value of this field at all."""
    return isinstance(declared, TextFilter) or (is_id(value) and type(declared).__name__ == "IdFilter")


@pytest.mark.parametrize("face, field", FILTERS, ids=str)
def test_list__wrong_operator_or_type__is_refused_by_name(face: Face, field: str, acme: Api) -> None:
    url = make(face, acme).url("list")
    declared = filter_names(face.viewset.filterset_class)[field]
    problem = assert_problem(acme.get(url, query={"filter": f"{field}[near]x"}), 400, at="filter")
    assert all(op in problem["message"] for op in declared.operators)
    empty = acme.get(url, query={"filter": f"{field}[eq]"})
    assert empty.status_code == (200 if isinstance(declared, TextFilter) else 400)
    wrong = acme.get(url, query={"filter": f"{field}[eq]no such value"})
    if isinstance(declared, TextFilter | MembershipFilter):
        assert wrong.json()["result"] == []
    else:
        assert field in assert_problem(wrong, 400, at="filter")["message"]


@pytest.mark.parametrize("face", having("list"), ids=str)
def test_list__unknown_filter__names_the_allowed(face: Face, acme: Api) -> None:
    url = make(face, acme).url("list")
    for field in ("surprise", "organization__name", "pk", "organization.id"):
        problem = assert_problem(acme.get(url, query={"filter": f"{field}[eq]x"}), 400, at="filter")
        if "__" not in field or "cannot" in problem["message"]:
            assert all(name in problem["message"] for name in filter_names(face.viewset.filterset_class))
    for malformed in ("", "name", "name=x", "name[eq", "[eq]x", "name[eq]" + "x" * 1024):
        assert_problem(acme.get(url, query={"filter": malformed}), 400, at="filter")
    assert_problem(acme.get(url, query={"filter": ["created_at[gt]2000-01-01"] * 11}), 400, at="filter")
    assert acme.get(url, query={"filter": ["created_at[gt]2000-01-01"] * 10}).status_code == 200


@pytest.mark.parametrize("face, field", FILTERS, ids=str)
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(value=st.text(max_size=40), op=st.sampled_from(["eq", "ne", "gt", "lte", "in", "not in", "like", "not like"]))
def test_list__any_filter_value__is_no_failure(face: Face, field: str, value: str, op: str, acme: Api) -> None:
    answer = acme.get(crowd(face, acme), query={"filter": f"{field}[{op}]{value}"})
    assert answer.status_code in (200, 400)
