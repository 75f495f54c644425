"""The months of the bill: their names on the wire, and which month of which year each means today."""

from __future__ import annotations

import calendar
import datetime as dt

from django.db import models


class BillingMonth(models.TextChoices):
    PARTIAL = "partial"
    JANUARY = "january"
    FEBRUARY = "february"
    MARCH = "march"
    APRIL = "april"
    MAY = "may"
    JUNE = "june"
    JULY = "july"
    AUGUST = "august"
    SEPTEMBER = "september"
    OCTOBER = "october"
    NOVEMBER = "november"
    DECEMBER = "december"


COMPLETE = [month for month in BillingMonth if month is not BillingMonth.PARTIAL]


def month_of(moment: dt.datetime) -> str:
    """`YYYY-MM`, which sorts."""
    return f"{moment:%Y-%m}"


def months_until(now: dt.datetime) -> dict[str, BillingMonth]:
    """The twelve months before this one and this one, the oldest first, by what each is called now."""
    names = list(BillingMonth)
    count = now.year * 12 + now.month - 1
    found = {f"{n // 12:04}-{n % 12 + 1:02}": names[n % 12 + 1] for n in range(count - 12, count)}
    return found | {month_of(now): BillingMonth.PARTIAL}


def resolve_month(name: str, now: dt.datetime) -> str:
    """The month that a name means now: its most recent completed one, or for `partial` the current one."""
    return next(month for month, called in months_until(now).items() if called == name)


def end_of(month: str) -> dt.datetime:
    """When the next month begins."""
    year, number = map(int, month.split("-"))
    first = dt.datetime(year, number, 1, tzinfo=dt.UTC)
    return first + dt.timedelta(days=calendar.monthrange(year, number)[1])
