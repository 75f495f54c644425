"""Reports of the bill, and their export."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import tempfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import orjson
from django.conf import settings
from django.db.models import Max, Min, QuerySet
from django.utils import timezone
from django_filters import FilterSet

from core.columns import is_id
from core.filters import apply_filters
from core.instants import format_instant, now_text
from core.late import LateModule
from core.listing import Cursor, ListRequest
from core.pruning import delete_old
from core.reading import Page, missing
from core.tenancy import condition, current_scope
from identity.suborganizations.models import SubOrganization
from integrations.billing.models import Usage, UsageBelow
from integrations.billing.months import end_of, month_of, months_until
from organizations.models import Organization

if TYPE_CHECKING:
    import tarfile
else:
    tarfile = LateModule("tarfile")

CURSOR = Cursor(("organization_id",))
COLUMNS = {
    "organization": "organization_name",
    "account": "account_name",
    "integration": "integration_name",
    "environment": "environment",
    "succeeded": "succeeded",
    "failed": "failed",
    "ingress_bytes": "in_bytes",
    "egress_bytes": "out_bytes",
}
_MONTHS, _BATCH = 13, 2_000


def usage_in_reach() -> QuerySet[Usage]:
    """The usage of the organization in scope and of those below it, as far as its narrowing goes."""
    scope = current_scope()
    return Usage._base_manager.filter(condition(Usage, scope) | condition(UsageBelow, scope))


def find_billed(identifier: str) -> tuple[str, str]:
    """Id and name of the organization in scope or one below it, by either; one that was deleted by its id alone."""
    identifier = identifier.lower()
    named = {"id" if is_id(identifier) else "name": identifier}
    for model in (Organization, SubOrganization):
        found: Organization | None = model.objects.filter(**named).first() if "\x00" not in identifier else None
        if found is not None:
            return found.id, found.name
    if is_id(identifier):
        last = usage_in_reach().filter(**{"organization_id": identifier}).order_by("month").last()
        if last is not None:
            return last.organization_id, last.organization_name
    raise missing(Organization, identifier)


def show_report(*, of: tuple[str, str], month: str) -> dict[str, Any]:
    """The report of one organization, by id and name, and month, which may have nothing in it."""
    organization_id, name = of
    named = {"organization_id": organization_id, "month": month}
    rows = usage_in_reach().filter(**named)
    times = rows.aggregate(created_at=Min("created_at"), updated_at=Max("updated_at"))
    return _report({**named, "organization_name": name, **times}, _lines(rows), timezone.now())


def list_reports(*, asked: ListRequest, filterset: type[FilterSet]) -> Page:
    """One page of reports. Those of one organization stay together, so that a page may be somewhat longer."""
    now = timezone.now()
    rows = apply_filters(usage_in_reach(), filterset, list(asked.filters)).filter(month__in=list(months_until(now)))
    (_, descending), *_ = asked.order or [("organization_id", False)]
    if asked.start_after:
        after = CURSOR.read(asked.start_after, Usage)["organization_id"]
        rows = rows.filter(**{f"organization_id__{'lt' if descending else 'gt'}": after})
    groups = list(
        rows.values("organization_id", "month")
        .annotate(
            created_at=Min("created_at"), updated_at=Max("updated_at"), organization_name=Max("organization_name")
        )
        .order_by("-organization_id" if descending else "organization_id", "month")[: asked.limit + 13]
    )
    last = groups[min(asked.limit, len(groups)) - 1]["organization_id"] if groups else None
    page = groups[: asked.limit] + [g for g in groups[asked.limit :] if g["organization_id"] == last]
    mine = rows.filter(organization_id__in={g["organization_id"] for g in page}, month__in={g["month"] for g in page})
    lines = {
        key: list(found)
        for key, found in itertools.groupby(
            _lines(mine, "organization_id", "month"), lambda line: (line["organization_id"], line["month"])
        )
    }
    shown = [_report(group, lines[group["organization_id"], group["month"]], now) for group in page]
    return shown, str(last) if len(shown) >= asked.limit else ""


def _lines(rows: QuerySet[Usage], *first: str) -> Any:
    ordered = rows.order_by(*first, "organization_name", "account_name", "integration_name", "id")
    return ordered.values(*first, *COLUMNS.values())


def _report(group: dict[str, Any], lines: Any, now: dt.datetime) -> dict[str, Any]:
    """A report on the wire. That of a month in the past was due at the end of it, that of this month is of now."""
    month = group["month"]
    date = now if month == month_of(now) else end_of(month)
    text = io.StringIO(newline="")
    write_csv(text, lines)
    return {
        "name": f"{group['organization_name']}-{month}",
        "created_at": format_instant(group["created_at"] or date),
        "updated_at": format_instant(group["updated_at"] or date),
        "organization_id": group["organization_id"],
        "month": str(months_until(now)[month]),
        "report_date": format_instant(date),
        "csv_data": text.getvalue(),
    }


def write_csv(to: Any, lines: Any) -> int:
    """Writes lines with their heading (RFC 4180); gives their number. Names cannot be formulas: see `NAME_PATTERN`."""
    writer = csv.writer(to)
    writer.writerow(COLUMNS)
    number = 0
    for number, line in enumerate(lines, 1):  # noqa: B007 - the last is the count
        writer.writerow([line[path] for path in COLUMNS.values()])
    return number


def write_archive(*, months: list[str], to: IO[bytes]) -> None:
    """A gzipped tar archive of the bills of some months. It may be larger than the memory, and so may each bill."""
    now = timezone.now()
    log, covered = [f"{format_instant(now)} exporting {', '.join(months)}"], []
    with tarfile.open(fileobj=to, mode="w:gz") as tar:
        for month in months:
            with tempfile.TemporaryFile() as sheet:
                text = io.TextIOWrapper(sheet, encoding="utf-8", newline="", write_through=True)
                number = write_csv(text, _in_batches(month))
                if number:
                    covered.append(month)
                    _add(tar, f"billing-{month}.csv", sheet, now)
                text.detach()
            found = f"{number} lines" if number else "nothing billed, left out"
            log.append(f"{now_text()} {month}: {found}")
        version = settings.SPECTACULAR_SETTINGS["VERSION"]
        about = {"exported_at": format_instant(now), "version": version, "months": covered}
        _add(tar, "metadata.json", io.BytesIO(orjson.dumps(about, option=orjson.OPT_INDENT_2)), now)
        log.append(f"{now_text()} done")
        _add(tar, "export.log", io.BytesIO("".join(f"{line}\n" for line in log).encode()), now)


def _in_batches(month: str) -> Iterator[dict[str, Any]]:
    """The lines of a month by organization, a batch in memory at a time."""
    rows = usage_in_reach().filter(month=month)
    organizations = rows.order_by("organization_id").values_list("organization_id", flat=True).distinct()
    for organization_id in list(organizations):
        last = 0
        of_one = rows.filter(**{"organization_id": organization_id}).order_by("id").values("id", *COLUMNS.values())
        while batch := list(of_one.filter(id__gt=last)[:_BATCH]):
            yield from batch
            last = batch[-1]["id"]


def _add(tar: tarfile.TarFile, name: str, content: Any, now: dt.datetime) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = content.seek(0, io.SEEK_END)
    entry.mtime = int(now.timestamp())
    content.seek(0)
    tar.addfile(entry, content)


def prune_usage(*, before: dt.datetime) -> int:
    """Deletes the usage of months that ended before a time. Reports need the last twelve and the current one."""
    return delete_old(Usage, month__lt=month_of(before))
