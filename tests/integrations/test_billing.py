"""The bill: whose usage it shows, which months there are, and what its export holds."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tarfile
from typing import Any

import orjson
import pytest
from django.utils import timezone

from core.errors import ProviderFailedError
from core.outbound import Cost
from core.tenancy import scoped
from integrations.billing.months import COMPLETE, BillingMonth, end_of, months_until, resolve_month
from integrations.billing.services import prune_usage
from integrations.models import Usage
from integrations.status.services import Kind, count_call
from tests.api import Api
from tests.objects import HTTP_SINK, make_account, make_integration, ok

NO = ProviderFailedError("the provider said no")
NOVEMBER = dt.datetime(2026, 11, 22, 6, tzinfo=dt.UTC)


def use(api: Api, *, ago: int = 0, failed: bool = False) -> dict[str, Any]:
    """An integration that was called once, so many months ago."""
    made = make_integration(api, make_account(api)["id"], HTTP_SINK)
    with scoped(api.scope):
        count_call(
            integration_id=made["id"],
            kind=Kind.OPERATION,
            outcome=NO if failed else None,
            cost=Cost(in_bytes=10, out_bytes=20),
        )
        Usage.objects.filter(integration_id=made["id"]).update(month=month_ago(ago))
    return made


def month_ago(ago: int) -> str:
    return list(months_until(timezone.now()))[-1 - ago]


def called(ago: int) -> str:
    return str(months_until(timezone.now())[month_ago(ago)])


def below(api: Api) -> Api:
    made = ok(api.post("/v1/suborgs", {"name": "branch"}))
    return Api(made["organization"]["id"], made["token"]["access"]["secret"])


def lines(report: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(report["csv_data"])))


def unpacked(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(b"".join(answer.streaming_content)), mode="r:gz") as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name, month", [("partial", "2026-11"), ("october", "2026-10"), ("november", "2025-11"), ("december", "2025-12")]
)
def test_month__name__is_the_last_completed_one(name: str, month: str) -> None:
    assert resolve_month(name, NOVEMBER) == month


def test_months__until_any_day__are_thirteen_without_a_name_twice() -> None:
    for month in range(1, 13):
        found = months_until(dt.datetime(2027, month, 1, tzinfo=dt.UTC))
        assert sorted(found.values()) == sorted(BillingMonth)
        assert list(found) == sorted(found)
        assert next(name for name in found.values() if name != "partial") == COMPLETE[month - 1]
    assert end_of("2026-12") == dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


def test_billing__month_to_date__has_a_line_for_each_integration(acme: Api) -> None:
    made = use(acme, failed=True)
    with scoped(acme.scope):
        count_call(integration_id=made["id"], kind=Kind.OPERATION, cost=Cost(in_bytes=1, out_bytes=2))
    report = ok(acme.get(f"/v1/billing/{acme.id}/partial"))
    account = ok(acme.get(f"/v1/accounts/{made['account_id']}"))
    assert lines(report) == [
        {
            "organization": "acme", "account": account["name"], "integration": made["name"], "environment": "prod",
            "succeeded": "1", "failed": "1", "ingress_bytes": "11", "egress_bytes": "22",
        }
    ]  # fmt: skip
    assert (report["name"], report["month"]) == (f"acme-{month_ago(0)}", "partial")
    assert report["created_at"] <= report["updated_at"] <= report["report_date"]
    assert ok(acme.get("/v1/billing/acme/partial"))["csv_data"] == report["csv_data"]


def test_billing__month_without_usage__is_empty(acme: Api) -> None:
    report = ok(acme.get(f"/v1/billing/{acme.id}/{called(3)}"))
    assert lines(report) == []
    assert report["report_date"] == report["created_at"] == f"{month_ago(2)}-01T00:00:00.000000Z"
    assert ok(acme.get("/v1/billing")) == []


def test_billing__unknown_month_or_organization__is_said(acme: Api, globex: Api) -> None:
    answer = acme.get(f"/v1/billing/{acme.id}/brumaire")
    assert answer.status_code == 400
    assert "partial, january" in answer.json()["message"]
    for stranger in (globex.id, "globex", "%00"):
        assert acme.get(f"/v1/billing/{stranger}/partial").status_code == 404


def test_billing__list__holds_every_billed_month_of_the_last_twelve(acme: Api) -> None:
    for ago in (13, 12, 1, 1, 0):
        use(acme) if ago == 13 else use(acme, ago=ago)
        if ago == 13:
            with scoped(acme.scope):
                Usage.objects.update(month="2020-01")
    reports = ok(acme.get("/v1/billing"))
    assert [(r["month"], len(lines(r))) for r in reports] == [(called(12), 1), (called(1), 2), ("partial", 1)]
    kept = acme.get("/v1/billing", query={"filter": f"month[in]partial,{called(12)}"})
    assert [r["month"] for r in ok(kept)] == [called(12), "partial"]
    others = acme.get("/v1/billing", query={"filter": "month[ne]partial"})
    assert [r["month"] for r in ok(others)] == [called(12), called(1)]
    assert acme.get("/v1/billing", query={"filter": "month[eq]brumaire"}).status_code == 400


def test_billing__root_organization__sees_the_bills_below_and_a_branch_its_own(acme: Api, globex: Api) -> None:
    branch = below(acme)
    for api in (acme, branch, globex):
        use(api)
        use(api, ago=1)
    both = sorted([acme.id, branch.id])
    assert [r["organization_id"] for r in ok(acme.get("/v1/billing"))] == sorted(both * 2)
    assert [r["organization_id"] for r in ok(branch.get("/v1/billing"))] == [branch.id] * 2
    page = acme.get("/v1/billing", query={"limit": 1, "order": "organization_id[desc]"})
    assert [(r["organization_id"], r["month"]) for r in ok(page)] == [(both[1], called(1)), (both[1], "partial")]
    following = page.headers["Link"].split(">")[0][1:]
    assert [r["organization_id"] for r in ok(acme.get(following))] == [both[0]] * 2
    assert [r["organization_id"] for r in ok(acme.get("/v1/billing", query={"start_after": both[0]}))] == [both[1]] * 2
    assert acme.get("/v1/billing", query={"start_after": "x"}).status_code == 400
    assert lines(ok(acme.get(f"/v1/billing/{branch.id}/partial")))[0]["organization"] == "branch"
    assert branch.get(f"/v1/billing/{acme.id}/partial").status_code == 404
    sheet = unpacked(acme.get("/v1/billing/export"))[f"billing-{month_ago(1)}.csv"].decode()
    assert sorted(line["organization"] for line in csv.DictReader(io.StringIO(sheet))) == ["acme", "branch"]


def test_billing__narrowed_token__shows_its_part(acme: Api) -> None:
    made, _ = use(acme), use(acme)
    branch = below(acme)
    use(branch)
    by_account = acme.issue(resources={"accounts": {"ids": [made["account_id"]]}})
    by_organization = acme.issue(resources={"organizations": {"ids": [branch.id]}})
    (report,) = ok(by_account.get("/v1/billing"))
    assert [line["integration"] for line in lines(report)] == [made["name"]]
    assert [r["organization_id"] for r in ok(by_organization.get("/v1/billing"))] == [branch.id]
    assert by_organization.get(f"/v1/billing/{acme.id}/partial").status_code == 404


def test_billing__after_deletion__stands(acme: Api) -> None:
    made = use(acme)
    before = ok(acme.get("/v1/billing"))[0]["csv_data"]
    acme.delete(f"/v1/accounts/{made['account_id']}")
    assert ok(acme.get("/v1/billing"))[0]["csv_data"] == before


def test_billing__after_deletion_of_a_branch__stands_for_the_one_above(acme: Api, globex: Api) -> None:
    branch = below(acme)
    use(branch, ago=1)
    use(branch)
    before = ok(acme.get("/v1/billing"))
    one = ok(acme.get(f"/v1/billing/{branch.id}/partial"))
    assert acme.delete(f"/v1/suborgs/{branch.id}").status_code == 204
    assert [report["csv_data"] for report in ok(acme.get("/v1/billing"))] == [report["csv_data"] for report in before]
    assert ok(acme.get(f"/v1/billing/{branch.id}/partial"))["csv_data"] == one["csv_data"]
    assert f"billing-{month_ago(1)}.csv" in unpacked(acme.get("/v1/billing/export"))
    assert acme.get("/v1/billing/branch/partial").status_code == 404
    assert ok(globex.get("/v1/billing")) == []
    assert globex.get(f"/v1/billing/{branch.id}/partial").status_code == 404


def test_export__several_months__leaves_out_those_without_usage(acme: Api) -> None:
    use(acme, ago=3)
    use(acme, ago=1)
    use(acme)
    found = unpacked(acme.get("/v1/billing/export", query={"from": called(12), "to": called(1)}))
    assert list(found) == [f"billing-{month_ago(3)}.csv", f"billing-{month_ago(1)}.csv", "metadata.json", "export.log"]
    about = orjson.loads(found["metadata.json"])
    assert about["months"] == [month_ago(3), month_ago(1)]
    assert set(about) == {"exported_at", "version", "months"}
    assert b"nothing billed" in found["export.log"]
    assert f"billing-{month_ago(3)}.csv" in unpacked(acme.get("/v1/billing/export", query={"month": called(3)}))
    assert f"billing-{month_ago(1)}.csv" in unpacked(acme.get("/v1/billing/export"))


def test_export__nothing_billed__is_an_archive_that_says_so(acme: Api) -> None:
    found = unpacked(acme.get("/v1/billing/export"))
    assert orjson.loads(found["metadata.json"])["months"] == []


@pytest.mark.parametrize(
    "query, at",
    [
        ({"month": "partial"}, "month"),
        ({"month": "brumaire"}, "month"),
        ({"month": ["may", "june"]}, "month"),
        ({"from": "may"}, "from"),
        ({"to": "may"}, "from"),
        ({"month": "may", "from": "may", "to": "june"}, "from"),
        ({"from": "partial", "to": "june"}, "from"),
        ({"surprise": "1"}, "surprise"),
    ],
)
def test_export__wrong_months__are_refused(acme: Api, query: dict[str, Any], at: str) -> None:
    answer = acme.get("/v1/billing/export", query=query)
    assert answer.status_code == 400
    assert answer.json()["context"]["parameter"]["id"] == at


def test_export__range_backwards__says_what_the_names_mean(acme: Api) -> None:
    answer = acme.get("/v1/billing/export", query={"from": called(1), "to": called(2)})
    assert answer.status_code == 400
    assert month_ago(1) in answer.json()["message"]


def test_prune__old_months__go(acme: Api) -> None:
    use(acme)
    use(acme, ago=12)
    with scoped(acme.scope):
        assert prune_usage(before=timezone.now() - dt.timedelta(days=30)) == 1
        assert Usage.objects.count() == 1
