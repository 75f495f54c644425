"""The list protocol: limit, start_after, order, filter, total. Pages are found by key, never by offset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import BooleanField, F, Func, Model, Q, QuerySet, Value
from django.http import QueryDict

from core.columns import IdColumn, InstantColumn, column_at, is_id
from core.errors import InvalidError, Parameter
from core.instants import read_day_or_instant

DEFAULT_LIMIT, MOST = 100, 1000
MOST_ORDERS = 4
Order = tuple[str, bool]  # (path, descending)


@dataclasses.dataclass(frozen=True, slots=True)
class ListRequest:
    """What a caller asks of a list, checked."""

    limit: int = DEFAULT_LIMIT
    start_after: str | None = None
    order: tuple[Order, ...] = ()
    filters: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    total: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Cursor:
    """What `start_after` takes in a list of objects without a name: the values of these columns, a comma between.

    They are the list's own order too. With `ties` several rows may share them, such as a time: a page then ends with
    all rows that share its last one's, and the `Link` to the next adds the last one's id.

    With `most` a page looks at no more rows than that for filters that no index serves, and its `Link` leads on from
    the last one it looked at, however few it shows. `indexed` are the fields whose filters choose the rows to look at.
    """

    paths: tuple[str, ...]
    ties: bool = False
    descending: bool = False  # what comes first unless another order is asked for
    most: int | None = None
    indexed: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """What names one row, and nothing else."""
        return (*self.paths, "id") if self.ties else self.paths

    def complete(self, order: Sequence[Order]) -> tuple[Order, ...]:
        """An order that leaves no ties: what is asked for, then the list's own in the same direction."""
        full = list(order) or [(self.paths[0], self.descending)]
        asked = {path for path, _ in full}
        return (*full, *((path, full[-1][1]) for path in self.columns if path not in asked))

    def read(self, text: str, model: type[Model]) -> dict[str, Any]:
        """The columns' values in a `start_after`; without the id when it gives none."""
        parts = text.split(",")
        if len(parts) not in (len(self.paths), len(self.columns)) or "\x00" in text:
            raise self._malformed(text)
        return {
            path: self._value(column_at(model, path), part, text)
            for path, part in zip(self.columns, parts, strict=False)
        }

    def _value(self, column: Any, part: str, text: str) -> Any:
        if isinstance(column, InstantColumn):
            value: Any = read_day_or_instant(part)
        else:
            value = part if part and (is_id(part) or not isinstance(column, IdColumn)) else None
        if value is None:
            raise self._malformed(text)
        return value

    def _malformed(self, text: str) -> InvalidError:
        return InvalidError(
            f"`start_after` must be the {self.wording} of the last object before the page",
            at=Parameter("query", "start_after", text[:200]),
        )

    @property
    def wording(self) -> str:
        return f"`{','.join(self.paths)}`"


class After(Func):
    """`(a, b) > (x, y)`, or another comparison: rows after a key, which an index on (a, b) answers at once."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, paths: Sequence[str], values: Sequence[Any], *, operator: str) -> None:
        super().__init__(*(F(path) for path in paths), *values)
        self.half, self.operator = len(paths), operator

    def as_sql(self, compiler: Any, connection: Any, *_: Any, **__: Any) -> Any:
        parts = [compiler.compile(e) for e in self.source_expressions]
        left = ", ".join(sql for sql, _ in parts[: self.half])
        right = ", ".join(sql for sql, _ in parts[self.half :])
        return f"(({left}) {self.operator} ({right}))", [p for _, params in parts for p in params]


def seek(queryset: QuerySet[Any, Any], order: Sequence[Order], key: Sequence[Any]) -> QuerySet[Any, Any]:
    """The rows strictly after a key under an order."""
    fields = [
        (path, descending, _literal(queryset, path, value))
        for (path, descending), value in zip(order, key, strict=True)
    ]
    if len({descending for _, descending, _ in fields}) == 1:
        paths = [path for path, _, _ in fields]
        return queryset.filter(After(paths, [v for _, _, v in fields], operator="<" if fields[0][1] else ">"))
    after, equal = Q(), Q()
    for path, descending, value in fields:
        after |= equal & Q(**{f"{path}__{'lt' if descending else 'gt'}": value})
        equal &= Q(**{path: value})
    path, descending, value = fields[0]
    return queryset.filter(Q(**{f"{path}__{'lte' if descending else 'gte'}": value}) & after)


def stop(queryset: QuerySet[Any, Any], order: Sequence[Order], key: Sequence[Any]) -> QuerySet[Any, Any]:
    """The rows up to a key under an order of one direction, with the row that has it."""
    paths = [path for path, _ in order]
    values = [_literal(queryset, path, value) for path, value in zip(paths, key, strict=True)]
    return queryset.filter(After(paths, values, operator=">=" if order[0][1] else "<="))


def _literal(queryset: QuerySet[Any, Any], path: str, value: Any) -> Any:
    return value if isinstance(value, Value) else Value(value, output_field=column_at(queryset.model, path))


def read_list_request(
    query: QueryDict, *, orders: Mapping[str, str], expands: Sequence[str], totals: bool, descending: bool = False
) -> ListRequest:
    """Reads a list's query. Whatever is not part of the protocol is refused by name.

    `descending` is the direction of a field that comes without one.
    """
    allowed = ["limit", "start_after", "order", "filter"] + ["expand"] * bool(expands) + ["total"] * totals
    refuse_unknown(query, allowed)
    return ListRequest(
        limit=_read_limit(_single(query, "limit")),
        start_after=_single(query, "start_after") or None,
        order=_read_order(query.getlist("order"), orders, "[desc]" if descending else "[asc]"),
        filters=tuple(query.getlist("filter")),
        expand=read_choices(query, "expand", expands),
        total=read_boolean(query, "total"),
    )


def refuse_unknown(query: QueryDict, allowed: Sequence[str]) -> None:
    """Raises for a query parameter that an operation does not have."""
    for name in query:
        if name not in allowed:
            takes = f"it takes {', '.join(allowed)}" if allowed else "it takes none"
            raise InvalidError(
                f"the query parameter {name[:100]!r} is unknown here; {takes}",
                at=Parameter("query", name[:100]),
            )


def read_choices(query: QueryDict, name: str, choices: Sequence[str]) -> tuple[str, ...]:
    """A repeatable parameter whose values come from a list."""
    values = tuple(query.getlist(name))
    for value in values:
        if value not in choices:
            raise InvalidError(
                f"`{name}` must be one of {', '.join(choices)}", at=Parameter("query", name, value[:200])
            )
    return values


def read_choice(query: QueryDict, name: str, choices: Sequence[str]) -> str | None:
    """A parameter that is given once at most, whose value comes from a list."""
    _single(query, name)
    return next(iter(read_choices(query, name, choices)), None)


def _single(query: QueryDict, name: str) -> str | None:
    values = query.getlist(name)
    if len(values) > 1:
        raise InvalidError(
            f"`{name}` is given more than once", at=Parameter("query", name, [v[:200] for v in values[:5]])
        )
    return values[0] if values else None


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST):
        raise InvalidError(
            f"`limit` must be a whole number from 1 to {MOST}", at=Parameter("query", "limit", text[:200])
        )
    return int(text)


def read_boolean(query: QueryDict, name: str) -> bool:
    text = _single(query, name)
    if text not in (None, "true", "false"):
        raise InvalidError(f"`{name}` must be true or false", at=Parameter("query", name, text[:200]))
    return text == "true"


def _read_order(texts: Sequence[str], orders: Mapping[str, str], usual: str) -> tuple[Order, ...]:
    """`field`, `field[asc]` or `field[desc]`, any number of times, as paths and directions."""
    if len(texts) > MOST_ORDERS:
        raise InvalidError(f"`order` is given more than {MOST_ORDERS} times", at=Parameter("query", "order"))
    order: list[Order] = []
    for text in texts:
        field, bracket, direction = text.partition("[")
        if field not in orders or bracket + direction not in ("", "[asc]", "[desc]"):
            raise InvalidError(
                f"`order` must be one of {', '.join(orders)}, with [asc] or [desc] after it if you like",
                at=Parameter("query", "order", text[:200]),
            )
        if all(orders[field] != path for path, _ in order):
            order.append((orders[field], (bracket + direction or usual) == "[desc]"))
    return tuple(order)


def complete(order: Sequence[Order], *, default: str, unique: bool) -> tuple[Order, ...]:
    """An order that leaves no ties: the default when none is asked for, and `id` last in the same direction.

    `unique` says that no two rows of this list share the default column.
    """
    full = tuple(order) or ((default, False),)
    if (unique and full[0][0] == default) or full[0][0] == "id":
        return full[:1]
    return full if any(path == "id" for path, _ in full) else (*full, ("id", full[-1][1]))


def link_next(path: str, query: QueryDict, cursor: str) -> str:
    """The `Link` header of a full page."""
    pairs = [(name, value) for name, values in query.lists() if name != "start_after" for value in values]
    return f'<{path}?{urlencode([*pairs, ("start_after", cursor)])}>; rel="next"'
