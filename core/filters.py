"""Filters: `field[op]value` read into the FilterSet that declares a resource's filterable fields."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar, cast

import django_filters
from django import forms
from django.db import models
from django.db.models import Q, QuerySet

from core.columns import ID_PATTERN, TextColumn, fold
from core.errors import InvalidError, Parameter
from core.instants import read_day_or_instant

MOST_FILTERS, LONGEST_FILTER, MOST_VALUES = 10, 1024, 100
# A pattern costs up to its length times that of a row's text: 1,000 by 2,000 characters take 20 ms.
LONGEST_PATTERN, MOST_WILDCARDS = 100, 5
_MOST = 2**63 - 1  # that a column holds
_CONDITION = re.compile(r"(?P<field>[a-z_]+(?:\.[a-z_]+)?)\[(?P<op>[a-z ]+)\](?P<value>.*)\Z", re.DOTALL)
_SPELLINGS = {"neq": "ne"}
_LOOKUPS = {"eq": "exact", "ne": "exact", "gt": "gt", "gte": "gte", "lt": "lt", "lte": "lte", "like": "like"}
_CHOOSING = ("eq", "in", "gt", "gte", "lt", "lte")
EQUALITY = ("eq", "ne", "in", "not in")
ORDERED = (*EQUALITY, "gt", "gte", "lt", "lte")


@TextColumn.register_lookup
class Like(models.Lookup[Any]):
    """Case-insensitive for ASCII on both databases; `%` is the only wildcard, a backslash escapes it."""

    lookup_name = "like"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, column_params = self.process_lhs(compiler, connection)
        operator = "ILIKE" if connection.vendor == "postgresql" else "LIKE"
        return f"{column} {operator} %s ESCAPE '\\'", [*column_params, self.rhs]

    def get_prep_lookup(self) -> Any:
        return self.rhs


class InstantFormField(forms.Field):
    """A time in RFC 3339, or a date, which is its midnight in UTC."""

    def to_python(self, value: Any) -> dt.datetime:
        moment = read_day_or_instant(str(value))
        if moment is None:
            raise forms.ValidationError("must be a time in RFC 3339 with an offset, or a date")
        return moment


class WireFilter(django_filters.Filter):
    """A filterable field: its operators, and the form field that reads its values."""

    operators: ClassVar[tuple[str, ...]] = ORDERED
    model: type[models.Model]  # the table filtered, as django-filter sets it

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("required", True)  # nothing is no value, except of a text
        kwargs["error_messages"] = {"required": "must not be empty"} | kwargs.get("error_messages", {})
        super().__init__(**kwargs)

    def condition(self, op: str, text: str) -> Q:
        """The rows that `field[op]text` keeps. Raises forms.ValidationError for a value of the wrong type."""
        path = self.field_name
        if op in ("in", "not in"):
            values = [self.field.clean(part) for part in split_values(text)]
            if len(values) > MOST_VALUES:
                raise forms.ValidationError(f"names more than {MOST_VALUES} values")
            q = Q(**{f"{path}__in": values})
        elif op in ("like", "not like"):
            q = Q(**{f"{path}__like": like_pattern(self.field.clean(text))})
        else:
            q = Q(**{f"{path}__{_LOOKUPS[op]}": self.field.clean(text)})
        return ~q if op in ("ne", "not in", "not like") else q


class TextFilter(WireFilter):
    field_class = forms.CharField
    operators = (*ORDERED, "like", "not like")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, strip=False, **kwargs)


class NameFilter(TextFilter):
    """A short name, compared without case."""

    def condition(self, op: str, text: str) -> Q:
        return super().condition(op, fold(text))


class IdFilter(WireFilter):
    field_class = forms.RegexField
    operators = EQUALITY

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(regex=ID_PATTERN, error_messages={"invalid": "must be an id"}, **kwargs)


class EnumFilter(WireFilter):
    field_class = forms.ChoiceField
    operators = EQUALITY

    def __init__(self, choices: Any, **kwargs: Any) -> None:
        choices = getattr(choices, "choices", None) or [(c, c) for c in choices]
        allowed = ", ".join(value for value, _ in choices)
        message = {"invalid_choice": f"must be one of {allowed}"}
        super().__init__(choices=choices, error_messages=message, **kwargs)


class InstantFilter(WireFilter):
    field_class = InstantFormField


class IntegerFilter(WireFilter):
    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        message = {"invalid": "must be a whole number"}
        super().__init__(min_value=-_MOST, max_value=_MOST, error_messages=message, **kwargs)


class MembershipFilter(WireFilter):
    """An array of strings kept as rows of their own: `eq` means contains."""

    field_class = forms.CharField
    operators = EQUALITY

    def condition(self, op: str, text: str) -> Q:
        """`field_name` is the path to the value in the row of its own."""
        plain = super().condition({"ne": "eq", "not in": "in"}.get(op, op), text)
        model: Any = self.model
        holds = Q(pk__in=model._base_manager.filter(plain).values("pk"))
        return ~holds if op in ("ne", "not in") else holds


class ResourceFilterSet(django_filters.FilterSet):
    """Base of every resource's filters: what all of them have."""

    id = IdFilter()
    name = NameFilter()
    fullname = TextFilter()
    created_at = InstantFilter()
    updated_at = InstantFilter()


def split_values(text: str) -> list[str]:
    """Comma-separated values; `\\,` is a comma inside one."""
    return [part.replace("\\,", ",") for part in re.split(r"(?<!\\),", text)]


def like_pattern(text: str) -> str:
    """The wire's pattern (`%` and `*` match any run) as SQL's, every other character literal."""
    if objection := pattern_objection(text):
        raise forms.ValidationError(objection)
    return re.sub(r"[\\_]", lambda m: "\\" + m[0], text).replace("*", "%")


def pattern_objection(text: str) -> str:
    """What makes a pattern of `like` too costly; empty if nothing does."""
    if len(text) > LONGEST_PATTERN:
        return f"is a pattern of more than {LONGEST_PATTERN} characters"
    is_wild = sum(text.count(wildcard) for wildcard in "%*") > MOST_WILDCARDS
    return f"has more than {MOST_WILDCARDS} wildcards" if is_wild else ""


def filter_names(filterset: type[django_filters.FilterSet]) -> dict[str, WireFilter]:
    """The filterable fields as the wire names them (`account.name`)."""
    return {name.replace("__", "."): cast(WireFilter, f) for name, f in filterset.base_filters.items()}


def apply_filters(
    queryset: QuerySet[Any, Any], filterset: type[django_filters.FilterSet], conditions: list[str]
) -> QuerySet[Any, Any]:
    """Narrows a queryset to what every condition keeps."""
    if len(conditions) > MOST_FILTERS:
        raise InvalidError(
            f"`filter` is given {len(conditions)} times, at most {MOST_FILTERS} are allowed",
            at=Parameter("query", "filter"),
        )
    for text in conditions:
        queryset = queryset.filter(read_condition(filterset, text, queryset.model))
    return queryset


def filters_by(text: str, fields: tuple[str, ...]) -> bool:
    """Whether a condition names some values or a range of one of these fields."""
    match = _CONDITION.match(text)
    return match is not None and match["field"] in fields and match["op"] in _CHOOSING


def read_condition(filterset: type[django_filters.FilterSet], text: str, model: type[models.Model]) -> Q:
    """One `field[op]value` as a condition, or the problem that says what is allowed."""
    at = Parameter("query", "filter", text[:200])
    match = _CONDITION.match(text) if len(text) <= LONGEST_FILTER else None
    if match is None:
        raise InvalidError("a filter is written `field[operator]value` in at most 1,024 characters", at=at)
    names = filter_names(filterset)
    declared = names.get(match["field"])
    if declared is None:
        raise InvalidError(f"{match['field']!r} cannot be filtered by; these can: {', '.join(sorted(names))}", at=at)
    op = _SPELLINGS.get(match["op"], match["op"])
    if op not in declared.operators:
        allowed = ", ".join(declared.operators)
        raise InvalidError(f"{match['op']!r} is no operator of {match['field']!r}; it has {allowed}", at=at)
    declared.model = model
    try:
        return declared.condition(op, match["value"])
    except forms.ValidationError as error:
        raise InvalidError(f"the value of {match['field']!r} {' '.join(error.messages)}", at=at) from error
