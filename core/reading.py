"""Reading through the plan: one object, a page, a count, objects by id. Everything is in the scope in force."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db import models
from django.db.models import QuerySet
from django_filters import FilterSet

from core.columns import addressed, column_at, fold
from core.errors import ConflictError, InvalidError, NotFoundError, Parameter
from core.filters import apply_filters, filters_by
from core.instants import format_instant
from core.listing import MOST, Cursor, ListRequest, Order, complete, seek, stop
from core.plan import Row, in_batches, plan_of
from core.prepared import Prepared, Slot, prepared
from core.serializers import ResourceSerializer
from core.tenancy import Scope, condition, current_scope

Fixed = Mapping[str, Any]  # column -> value: the equalities an address adds, such as the account
Page = tuple[list[dict[str, Any]], str]  # the objects, and the cursor of the last one if the page is full
_FIRST_ID, _LAST_ID = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"


class Span(NamedTuple):
    """Which rows of a list, in which order, and the columns that are read beside those that are shown."""

    order: tuple[Order, ...]
    key: Sequence[Any] | None  # of the row that they come after
    limit: int
    also: tuple[str, ...] = ()
    until: Sequence[Any] | None = None  # the key of the last row that may be looked at


class Reader:
    """Reads the representations of one serializer."""

    def __init__(self, serializer_class: type[ResourceSerializer]) -> None:
        self.plan = plan_of(serializer_class)
        self.model: Any = self.plan.model

    def rows_in(self, scope: Scope, fixed: Fixed) -> QuerySet[Any, Any]:
        queryset: QuerySet[Any, Any] = self.model._base_manager.filter(condition(self.model, scope))
        return queryset.filter(**fixed) if fixed else queryset

    def _slot(self, name: str, path: str) -> Slot:
        return Slot(name, column_at(self.model, path))

    def _slotted(self, fixed: Fixed) -> tuple[Scope, dict[str, Slot]]:
        organization_id = self._slot("organization_id", self.model.tenant_column)
        return Scope(organization_id), {path: self._slot(path, path) for path in fixed}

    def one(self, identifier: str, fixed: Fixed) -> dict[str, Any]:
        """The object with this id or name, or the one way to say that it is not there."""
        scope, named = current_scope(), addressed(identifier)
        if named is None:
            raise missing(self.model, identifier)

        def build() -> QuerySet[Any, Any]:
            slotted, equal = self._slotted(fixed)
            return self.plan.selecting(self.rows_in(slotted, equal | {path: self._slot(path, path) for path in named}))

        if scope.groups:
            rows = self.plan.rows(self.rows_in(scope, {**fixed, **named}))
        else:
            statement = prepared((self.plan, "one", *named, *fixed), build)
            rows = statement.rows(organization_id=scope.organization_id, **named, **fixed)
        if not rows:
            raise missing(self.model, identifier)
        if len(rows) > 1:
            raise ambiguous(self.model, identifier)
        return self.plan.encode(rows)[0]

    def only(self, fixed: Fixed) -> dict[str, Any]:
        """The one object that these equalities leave, such as the status of an integration."""
        scope = current_scope()
        if scope.groups:
            rows = self.plan.rows(self.rows_in(scope, fixed))
        else:

            def build() -> QuerySet[Any, Any]:
                return self.plan.selecting(self.rows_in(*self._slotted(fixed)))

            statement = prepared((self.plan, "only", *fixed), build)
            rows = statement.rows(organization_id=scope.organization_id, **fixed)
        if len(rows) != 1:
            raise missing(self.model, ", ".join(map(str, fixed.values())))
        return self.plan.encode(rows)[0]

    def page(
        self, asked: ListRequest, fixed: Fixed, filterset: type[FilterSet], *, unique: bool
    ) -> list[dict[str, Any]]:
        """One page of a list whose objects have names, in order."""
        order = complete(asked.order, default="name", unique=unique)
        key = self._key_of(asked.start_after, order, current_scope(), fixed) if asked.start_after else None
        return self.plan.encode(self._rows(asked, Span(order, key, asked.limit), fixed, filterset))

    def page_by(self, cursor: Cursor, asked: ListRequest, fixed: Fixed, filterset: type[FilterSet]) -> Page:
        """One page of a list whose objects have none, in order."""
        order = cursor.complete(asked.order)
        key = self._key_by(cursor, asked.start_after, order, fixed) if asked.start_after else None
        until = self._last_looked_at(cursor, asked, Span(order, key, 1), fixed, filterset)
        rows = self._rows(asked, Span(order, key, asked.limit + cursor.ties, cursor.columns, until), fixed, filterset)
        width, shared = len(self.plan.columns), len(cursor.paths)
        if len(rows) > asked.limit:
            last, after = rows[-2][width:], rows.pop()[width:]
            if last[:shared] == after[:shared]:  # the page would split them, and a plain cursor skip the rest
                same = {**fixed, **dict(zip(cursor.paths, last, strict=False))}
                place = [dict(zip(cursor.columns, last, strict=True)).get(path) for path, _ in order]
                if None not in place:
                    rows += self._rows(asked, Span(order, place, MOST, cursor.columns), same, filterset)
        following = rows[-1][width:] if len(rows) >= asked.limit else until or ()
        return self.plan.encode([row[:width] for row in rows]), ",".join(map(str, following))

    def _last_looked_at(
        self, cursor: Cursor, asked: ListRequest, span: Span, fixed: Fixed, filterset: type[FilterSet]
    ) -> Sequence[Any] | None:
        """The key of the last row that a page looks at for its filters, in the wire's text; None if it needs no end."""
        chosen = [text for text in asked.filters if filters_by(text, cursor.indexed)]
        if cursor.most is None or len(chosen) == len(asked.filters):
            return None
        queryset = apply_filters(self.rows_in(current_scope(), fixed), filterset, chosen)
        queryset = seek(queryset, span.order, span.key) if span.key is not None else queryset
        columns = [f"-{path}" if descending else path for path, descending in span.order]
        keys = queryset.order_by(*columns).values_list(*cursor.columns)
        found = Prepared(keys[cursor.most - 1 : cursor.most]).rows()
        return [format_instant(v) if isinstance(v, dt.datetime) else str(v) for v in found[0]] if found else None

    def _rows(self, asked: ListRequest, span: Span, fixed: Fixed, filterset: type[FilterSet]) -> list[Row]:
        scope = current_scope()
        if scope.groups or asked.filters:
            queryset = apply_filters(self.rows_in(scope, fixed), filterset, list(asked.filters))
            return Prepared(self._ordered(queryset, span)).rows()

        def build() -> QuerySet[Any, Any]:
            slotted, equal = self._slotted(fixed)
            slots = span.key and [self._slot(f"key{i}", path) for i, (path, _) in enumerate(span.order)]
            return self._ordered(self.rows_in(slotted, equal), span._replace(key=slots))

        shape = (self.plan, "page", span.order, span.limit, span.key is not None, span.also, *fixed)
        keys = {f"key{i}": value for i, value in enumerate(span.key or ())}
        return prepared(shape, build).rows(organization_id=scope.organization_id, **fixed, **keys)

    def _ordered(self, queryset: QuerySet[Any, Any], span: Span) -> QuerySet[Any, Any]:
        if span.key is not None:
            queryset = seek(queryset, span.order, span.key)
        if span.until is not None:
            queryset = stop(queryset, span.order, span.until)
        columns = [f"-{path}" if descending else path for path, descending in span.order]
        return self.plan.selecting(queryset, *span.also).order_by(*columns)[: span.limit]

    def _key_by(self, cursor: Cursor, text: str, order: Sequence[Order], fixed: Fixed) -> Sequence[Any]:
        """The sort key of the row whose values are given, or the key past all rows that share them."""
        given = cursor.read(text, self.model)
        if {path for path, _ in order} <= {*cursor.columns}:
            return [given.get(path, _FIRST_ID if descending else _LAST_ID) for path, descending in order]
        rows = self.rows_in(current_scope(), {**fixed, **given})
        found = Prepared(rows.values_list(*(path for path, _ in order))[:2]).rows()
        if len(found) != 1:
            raise InvalidError(
                f"`start_after` names {text!r}, which is {'not one object' if found else 'not there any more'}, "
                "so its place under this order is unknown",
                at=Parameter("query", "start_after", text[:200]),
                remediation=f"Start again from the first page, or order by {cursor.wording}.",
            )
        return list(found[0])

    def _key_of(self, cursor: str, order: Sequence[Order], scope: Scope, fixed: Fixed) -> Sequence[Any]:
        """The sort key of the object a cursor names."""
        at, named = Parameter("query", "start_after", cursor[:200]), addressed(cursor)
        if named is None:
            raise InvalidError("`start_after` is neither a name nor an id", at=at)
        leads = order[0][0] == "name" and [path for path, _ in order[1:]] in ([], ["id"])
        if len(order) == 1 and order[0][0] in named:
            return list(named.values())
        found = self._keys_at(named, [path for path, _ in order], scope, fixed)
        if len(found) == 1:
            return list(found[0])
        if found:
            raise InvalidError(
                f"several objects of this list are named {cursor!r}",
                at=at,
                remediation="Give the last object's `id` as `start_after`, or follow the `Link` header.",
            )
        if leads:
            return self._after_name(fold(cursor), order)
        raise InvalidError(
            f"`start_after` names {cursor!r}, which is not there any more, so its place under this order is unknown",
            at=at,
            remediation="Start again from the first page, or order by name.",
        )

    def _keys_at(self, named: Fixed, paths: Sequence[str], scope: Scope, fixed: Fixed) -> Sequence[Sequence[Any]]:
        """The sort keys of at most two objects with this id or name."""
        equal = {**fixed, **named}

        def keys(scope: Scope, equal: Fixed) -> QuerySet[Any, Any]:
            return self.rows_in(scope, equal).values_list(*paths)[:2]

        if scope.groups:
            return Prepared(keys(scope, equal)).rows()
        statement = prepared((self.plan, "key", tuple(paths), *equal), lambda: keys(*self._slotted(equal)))
        return statement.rows(organization_id=scope.organization_id, **equal)

    @staticmethod
    def _after_name(name: str, order: Sequence[Order]) -> Sequence[Any]:
        """The key just past a name that is gone: only `id` can follow it, see `complete`."""
        return [name, *(_FIRST_ID if descending else _LAST_ID for _, descending in order[1:])]

    def count(self, asked: ListRequest, fixed: Fixed, filterset: type[FilterSet]) -> int:
        """How many objects the list has, filters applied."""
        queryset = self.rows_in(current_scope(), fixed)
        return apply_filters(queryset, filterset, list(asked.filters)).count()

    def by_id(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Objects by id, as far as the scope sees them."""
        found: dict[str, dict[str, Any]] = {}
        for batch in in_batches(ids):
            shown = self.plan.encode(self.plan.rows(self.rows_in(current_scope(), {"id__in": batch})))
            found |= {each["id"]: each for each in shown}
        return found


@functools.cache
def reader_of(serializer_class: type[ResourceSerializer]) -> Reader:
    """The reader of a serializer class, made once."""
    return Reader(serializer_class)


def missing(model: type[models.Model], identifier: str) -> NotFoundError:
    """The one answer for an object that is not there or not yours."""
    noun = getattr(model, "resource_type", "object").replace("_", " ")
    error = NotFoundError(f"there is no {noun} {identifier[:200]!r}")
    error.looked_for = identifier
    return error


def ambiguous(model: type[models.Model], identifier: str) -> ConflictError:
    """The answer when a name is that of several objects."""
    noun = getattr(model, "resource_type", "object").replace("_", " ")
    return ConflictError(f"several objects are the {noun} {identifier!r}", remediation="Give the object's id instead.")


def find(model: type[models.Model], identifier: str, fixed: Fixed | None = None, *, lock: bool = False) -> Any:
    """The row with this id or name in scope, locked for a change if asked, or `NotFoundError`."""
    queryset: Any = model._default_manager.filter(**(fixed or {}))
    if lock:
        queryset = queryset.select_for_update(of=("self",), no_key=True)
    named = addressed(identifier)
    found = list(queryset.filter(**named)[:2]) if named else []
    if not found:
        raise missing(model, identifier)
    if len(found) > 1:
        raise ambiguous(model, identifier)
    return found[0]
