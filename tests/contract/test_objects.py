"""One object: made, read, replaced, patched, deleted, and never by two at once without one being told."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import orjson
import pytest

from core.columns import is_id
from core.instants import format_instant
from core.plan import plan_of
from core.serializers import in_mode, read_only_names
from core.tenancy import scoped
from tests.api import Api
from tests.contract.faces import Face, faces, having
from tests.contract.made import Made, absent_id, example_of, make, post
from tests.contract.problems import assert_problem

STALE = '"20000101000000000000"'


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The members that differ."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def result_of(made: Made, answer: Any) -> dict[str, Any]:
    """The object in the answer to a change, which shows it at the top of `result`."""
    assert answer.status_code == 200, answer.content
    shown: dict[str, Any] = answer.json()["result"]
    return shown if "id" in shown else shown[made.example.result]


@pytest.mark.parametrize("face", faces(), ids=str)
def test_plan__every_row__shows_what_the_serializer_shows(face: Face, acme: Api) -> None:
    for _ in range(3):
        make(face, acme)
    serializer_class: Any = face.viewset.serializer_class
    plan = plan_of(serializer_class)
    model: Any = plan.model
    with scoped(acme.scope):
        rows = list(model.objects.all())
        assert rows
        for row in rows:
            hidden = {n for n, f in serializer_class().fields.items() if getattr(f, "expanded", False)}
            data = {n: v for n, v in serializer_class(row).data.items() if v is not None and n not in hidden}
            (selected,) = plan.encode(plan.rows(model.objects.filter(pk=row.pk)))
            assert orjson.loads(orjson.dumps(selected)) == plan.document(row) == orjson.loads(orjson.dumps(data))


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__given_everything__is_stored_and_tagged(face: Face, acme: Api) -> None:
    example = example_of(face, acme)
    answer = post(face, acme, example)
    assert answer.status_code == 200
    made = Made(face, example, answer.json()["result"].get(example.result, answer.json()["result"]))
    assert made.shown["name"] == example.body["name"]
    assert made.shown["created_at"] == made.shown["updated_at"]
    assert made.shown["created_at"] == format_instant(dt.datetime.fromisoformat(made.shown["created_at"]))
    if face.has("get"):
        assert answer.headers.get("ETag", "") in ("", acme.get(made.reading_url).headers["ETag"])


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__name_taken__is_409(face: Face, acme: Api) -> None:
    if not face.viewset.unique_names:
        pytest.skip("names of this list are not unique")
    example = example_of(face, acme)
    assert post(face, acme, example).status_code == 200
    again = dataclasses.replace(example, body=example.body | {"fullname": "Only the name is the same"})
    assert_problem(post(face, acme, again), 409, "duplicate-name", at="/name")


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__no_name__is_made_from_the_full_name_or_the_id(face: Face, acme: Api) -> None:
    example = example_of(face, acme)
    bare = {name: value for name, value in example.body.items() if name not in ("name", "fullname")}
    url = Made(face, example, {"id": ""}).url("create")
    if in_mode(face.viewset.serializer_class, "create")().fields["name"].required:
        assert_problem(acme.post(url, bare), 400, "invalid-request", at="/name")
        return

    def created(body: dict[str, Any]) -> dict[str, Any]:
        return result_of(Made(face, example, {}), acme.post(url, body))

    if in_mode(face.viewset.serializer_class, "create")().fields["fullname"].required:
        pytest.skip("its full name must be given, and is another's never")
    first, second = (created(bare | {"fullname": "Caf\u00e9 & Co. 7"}) for _ in range(2))
    assert first["name"] == "cafe-co-7"
    assert second["name"].startswith("cafe-co-7-")
    assert second["fullname"] == "Caf\u00e9 & Co. 7"
    neither = created(bare)
    assert neither["name"] == neither["fullname"] == neither["id"]


@pytest.mark.parametrize("face", having("get"), ids=str)
def test_get__by_name__is_the_same_as_by_id(face: Face, acme: Api) -> None:
    if face.viewset.singleton:
        pytest.skip("its address names no object")
    made = make(face, acme)
    operation = face.operation("get")
    by_name = acme.get(operation.url(made.values(operation, made.shown["name"])))
    assert by_name.json() == acme.get(made.reading_url).json()


@pytest.mark.parametrize("face", having("get"), ids=str)
def test_get__unchanged_since__is_304(face: Face, acme: Api) -> None:
    made = make(face, acme)
    tag = acme.get(made.reading_url).headers["ETag"]
    if face.operation("get").action in face.viewset.unconditional:  # it shows what changes while the object does not
        assert acme.get(made.reading_url, headers={"If-None-Match": tag}).status_code == 200
        return
    for header in (tag, f"W/{tag}", "*", f"{STALE}, {tag}"):
        answer = acme.get(made.reading_url, headers={"If-None-Match": header})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert acme.get(made.reading_url, headers={"If-None-Match": STALE}).status_code == 200
    assert_problem(acme.get(made.reading_url, headers={"If-None-Match": "bare"}), 400, at="If-None-Match")


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__with_what_get_shows__changes_nothing_but_the_time(face: Face, acme: Api) -> None:
    made = make(face, acme)
    before = made.read(acme)
    after = result_of(made, acme.put(made.url("update"), made.whole(acme)))
    assert changed(before, after) == {"updated_at"}
    assert after == made.read(acme)
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__stale_time__is_409_and_no_time_is_fine(face: Face, acme: Api) -> None:
    made = make(face, acme)
    whole = made.whole(acme)
    assert acme.put(made.url("update"), whole | {"fullname": "Newer"}).status_code == 200
    lost = acme.put(made.url("update"), whole | {"fullname": "Lost"})
    assert_problem(lost, 409, "stale-object", at="/updated_at")
    assert made.read(acme)["fullname"] == "Newer"
    forced = acme.put(made.url("update"), whole | {"fullname": "Forced", "updated_at": "0001-01-01T00:00:00Z"})
    assert result_of(made, forced)["fullname"] == "Forced"


def another(value: Any) -> Any:
    """A different value of the same kind."""
    if is_id(value):
        return absent_id()
    return "2020-01-01T00:00:00.000000Z" if str(value).endswith("Z") else "another"


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__read_only_member__is_refused_at_its_place(face: Face, acme: Api) -> None:
    made = make(face, acme)
    whole = made.whole(acme)
    for name in {*face.viewset.serializer_class.Meta.read_only, "organization_id"} & set(whole) - {"updated_at"}:
        assert_problem(acme.put(made.url("update"), whole | {name: another(whole[name])}), 400, at=f"/{name}")
    assert made.whole(acme) == whole


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__member_missing__is_refused_unless_optional(face: Face, acme: Api) -> None:
    made = make(face, acme)
    meta = face.viewset.serializer_class.Meta
    optional = {*meta.optional, *meta.kept, *made.example.unshown}
    computed = {n for n, f in in_mode(face.viewset.serializer_class, "update")().fields.items() if f.read_only}
    for name in set(made.whole(acme)) - optional - computed:
        whole = made.whole(acme)
        del whole[name]
        assert_problem(acme.put(made.url("update"), whole), 400, at=f"/{name}")


@pytest.mark.parametrize("face", having("update"), ids=str)
def test_update__name_taken__is_409(face: Face, acme: Api) -> None:
    if not face.has("create"):
        pytest.skip("there is only one")
    first, second = make(face, acme), make(face, acme)
    answer = acme.put(second.url("update"), second.whole(acme) | {"name": first.shown["name"]})
    assert_problem(answer, 409, "duplicate-name", at="/name")


@pytest.mark.parametrize("face", having("patch"), ids=str)
def test_patch__one_member__changes_only_that(face: Face, acme: Api) -> None:
    made = make(face, acme)
    before = made.read(acme)
    answer = acme.patch(made.url("patch"), [{"op": "replace", "path": "/fullname", "value": "Renamed"}])
    assert changed(before, result_of(made, answer)) == {"fullname", "updated_at"}
    assert made.read(acme)["fullname"] == "Renamed"


@pytest.mark.parametrize("face", having("patch"), ids=str)
def test_patch__each_member_as_it_is__changes_nothing(face: Face, acme: Api) -> None:
    made = make(face, acme)
    writable = set(made.read(acme)) - set(read_only_names(face.viewset.serializer_class)) - set(made.example.unshown)
    assert writable >= {"name", "fullname"}
    for name in writable:
        before = made.read(acme)
        operations = [{"op": "replace", "path": f"/{name}", "value": before[name]}]
        assert changed(before, result_of(made, acme.patch(made.url("patch"), operations))) == {"updated_at"}
    before = made.read(acme)
    assert changed(before, result_of(made, acme.patch(made.url("patch"), []))) == {"updated_at"}


@pytest.mark.parametrize("face", having("patch"), ids=str)
def test_patch__failing_in_the_middle__leaves_nothing(face: Face, acme: Api) -> None:
    made = make(face, acme)
    before = made.read(acme)
    good = {"op": "replace", "path": "/fullname", "value": "Half"}
    for bad in (
        {"op": "remove", "path": "/surprise"},
        {"op": "add", "path": "/surprise", "value": 1},
        {"op": "replace", "path": "/id", "value": absent_id()},
        {"op": "replace", "path": "/created_at", "value": before["created_at"]},
        {"op": "replace", "path": "", "value": {}},
        {"op": "replace", "path": "/name", "value": "NOT A NAME"},
        {"op": "replace", "path": "/name", "value": 7},
        {"op": "remove", "path": "/name"},
        {"op": "explode", "path": "/name"},
        {"op": "replace", "path": "name", "value": "x"},
        "text",
    ):
        assert_problem(acme.patch(made.url("patch"), [good, bad]), 400)
    assert_problem(acme.patch(made.url("patch"), {"fullname": "Merged"}), 400)
    assert made.read(acme) == before


@pytest.mark.parametrize("face", faces(), ids=str)
def test_change__other_etag__is_412(face: Face, acme: Api) -> None:
    if not any(face.has(verb) for verb in ("update", "patch", "delete")):
        pytest.skip("it cannot be changed")
    made = make(face, acme)
    for verb, body in (("update", b"{}"), ("patch", []), ("delete", None)):
        if not face.has(verb):
            continue
        operation = face.operation(verb)
        answer = acme.request(operation.method, made.url(verb), body, headers={"If-Match": STALE})
        assert_problem(answer, 412, "precondition-failed", at="If-Match")
        malformed = acme.request(operation.method, made.url(verb), body, headers={"If-Match": "bare"})
        assert_problem(malformed, 400, at="If-Match")
    if not face.has("patch"):
        return
    tag = acme.get(made.reading_url).headers["ETag"]
    first = acme.patch(made.url("patch"), [], headers={"If-Match": tag})
    assert first.status_code == 200
    assert_problem(acme.patch(made.url("patch"), [], headers={"If-Match": tag}), 412)
    assert first.headers["ETag"] == acme.get(made.reading_url).headers["ETag"] != tag


@pytest.mark.parametrize("face", having("delete"), ids=str)
def test_delete__once__is_204_and_then_404(face: Face, acme: Api) -> None:
    made, other = make(face, acme), make(face, acme)
    answer = acme.delete(made.url("delete"))
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(acme.delete(made.url("delete")), 404, "not-found")
    if face.has("get"):
        assert_problem(acme.get(made.reading_url), 404, "not-found")
        assert other.read(acme)["id"] == other.id
    if face.has("list"):
        left = [row["id"] for row in acme.get(made.url("list"), query={"limit": 1000}).json()["result"]]
        assert other.id in left
        assert made.id not in left
