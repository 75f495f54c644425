"""The bill over HTTP."""

from __future__ import annotations

import tempfile
from typing import Any

import django_filters
from django.db.models import Q
from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.utils import timezone
from rest_framework.decorators import action

from core.errors import InvalidError, Parameter
from core.filters import EnumFilter, IdFilter, split_values
from core.listing import ListRequest, read_choice, refuse_unknown
from core.reading import Page
from core.views import ReadViewSet
from integrations.billing.months import COMPLETE, BillingMonth, months_until, resolve_month
from integrations.billing.serializers import BillingSerializer
from integrations.billing.services import CURSOR, find_billed, list_reports, show_report, write_archive


class MonthFilter(EnumFilter):
    """A month by its name of today."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(BillingMonth, **kwargs)

    def condition(self, op: str, text: str) -> Q:
        """Names of today as the months that are stored."""
        given = split_values(text) if op in ("in", "not in") else [text]
        named = {self.field.clean(each) for each in given}
        q = Q(month__in=sorted(resolve_month(name, timezone.now()) for name in named))
        return ~q if op in ("ne", "not in") else q


class BillingFilterSet(django_filters.FilterSet):
    organization_id = IdFilter()
    month = MonthFilter()


class BillingViewSet(ReadViewSet):
    """What your organization, and those below it, are billed for."""

    resource = "billing"
    noun = "billing report"
    serializer_class = BillingSerializer
    filterset_class = BillingFilterSet
    cursor = CURSOR
    orders = {"organization_id": "organization_id"}
    actions = ("list",)
    verbs = {"export": "list"}
    responses = {
        "list": "ListBillingResponse",
        "export": {"application/octet-stream": {"type": "string", "format": "binary"}},
    }
    queries = {
        "export": {
            name: {"type": "string", "enum": [str(month) for month in COMPLETE], "description": text}
            for name, text in {
                "month": "The month to export. The month before this one if nothing is given.",
                "from": "The first month of several, which needs `to`.",
                "to": "The last month of several, which is not before `from`.",
            }.items()
        }
    }
    totals = False

    def page(self, asked: ListRequest, fixed: dict[str, Any]) -> Page:
        return list_reports(asked=asked, filterset=self.filterset_class)

    @action(detail=False, methods=["get"])
    def export(self, request: HttpRequest, **kwargs: str) -> HttpResponseBase:
        """Downloads the bills of completed months, of all organizations that the token may see.

        The answer is a gzipped tar archive with a CSV file for each month in which anybody was billed,
        `metadata.json` and `export.log`. A month's name means the last time that it was completed.
        """
        months = self.months(request)
        name = f"billing-{months[0]}.tar.gz" if len(months) == 1 else f"billing-{months[0]}-{months[-1]}.tar.gz"
        archive = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it
        write_archive(months=months, to=archive)
        archive.seek(0)
        return FileResponse(archive, content_type="application/octet-stream", as_attachment=True, filename=name)

    @staticmethod
    def months(request: HttpRequest) -> list[str]:
        """The months that are asked for, in order."""
        query, now = request.GET, timezone.now()
        refuse_unknown(query, ["month", "from", "to"])
        names = [str(month) for month in COMPLETE]
        month, start, end = (read_choice(query, name, names) for name in ("month", "from", "to"))
        known = list(months_until(now))[:-1]
        if start is None and end is None:
            return [resolve_month(month, now) if month else known[-1]]
        if month is not None or start is None or end is None:
            raise InvalidError("give `month` for one month, or both `from` and `to`", at=Parameter("query", "from"))
        first, last = (known.index(resolve_month(name, now)) for name in (start, end))
        if first > last:
            raise InvalidError(
                f"`to` means {known[last]}, which is before {known[first]}, the meaning of `from`",
                at=Parameter("query", "to", end),
            )
        return known[first : last + 1]


class OneBillingViewSet(ReadViewSet):
    """The bill of one organization."""

    resource = "billing"
    noun = "billing report"
    serializer_class = BillingSerializer
    lookup_url_kwarg = "month"
    actions = ("retrieve",)
    responses = {"retrieve": "GetBillingResponse"}

    def shown_one(self) -> dict[str, Any]:
        organization, name = find_billed(self.kwargs["organization_id"]), self.kwargs["month"].lower()
        if name not in BillingMonth.values:
            raise InvalidError(
                f"`month` must be one of {', '.join(BillingMonth.values)}", at=Parameter("path", "month", name[:200])
            )
        return show_report(of=organization, month=resolve_month(name, timezone.now()))
