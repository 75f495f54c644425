"""Parameters and headers: what is the same everywhere is a component, what depends on the resource is not."""

from __future__ import annotations

from typing import Any

import uritemplate
from drf_spectacular.plumbing import ResolvedComponent

from core.filters import LONGEST_FILTER, LONGEST_PATTERN, MOST_FILTERS, MOST_WILDCARDS, WireFilter, filter_names
from core.listing import DEFAULT_LIMIT, MOST, MOST_ORDERS
from core.schema import patterns
from core.schema.declarations import Operation

Schema = dict[str, Any]
_KIND = ResolvedComponent.PARAMETER
SHARED: dict[str, Schema] = {
    "Limit": {
        "name": "limit",
        "in": "query",
        "description": "How many objects a page holds at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
    },
    "Total": {
        "name": "total",
        "in": "query",
        "description": "Whether to count all objects that the filters keep, as `total` beside `result`. It costs time.",
        "schema": {"type": "boolean", "default": False},
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "`ETag` of the object as you know it: when it has changed since, nothing happens and the answer "
        "is 412.",
        "schema": {"type": "string", "pattern": patterns.whole(patterns.TAGS)},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "`ETag` of the object as you know it: when it is still the same, the answer is 304 without a "
        "body.",
        "schema": {"type": "string", "pattern": patterns.whole(patterns.TAGS)},
        "example": '"20260131120000000000"',
    },
}
HEADERS: dict[str, Schema] = {
    "X-Request-Id": {
        "description": "Id of the request, also in the service's log.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "ETag": {
        "description": "Names this state of the object, for `If-Match` and `If-None-Match`.",
        "schema": {"type": "string"},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this is the answer of an earlier request with the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Link": {
        "description": 'On a full page, the address of the next one: `</v1/...>; rel="next"`.',
        "schema": {"type": "string"},
    },
    "Location": {"description": "Where the browser goes.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Policy": {
        "description": 'The limit that is nearest its end: `"token";q=6000;w=60` is 6,000 requests in 60 seconds.',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "What that limit leaves: `r` more requests in the `t` seconds until its window ends.",
        "schema": {"type": "string"},
    },
    "X-RateLimit-Limit": {
        "description": "How many requests that limit takes in a window.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "X-RateLimit-Remaining": {
        "description": "How many are left of them.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "X-RateLimit-Reset": {
        "description": "When the window ends, in seconds since 1970 (UTC).",
        "schema": {"type": "integer"},
    },
}
LIMIT_HEADERS = [name for name in HEADERS if "RateLimit" in name]
_CURSOR = "of the last object of the page before: the page starts after it, whatever the order."


def parameters_of(operation: Operation, define: Any) -> list[Schema]:
    """All parameters of an operation, references where they are shared."""

    def shared(name: str) -> Schema:
        reference: Schema = define(name, SHARED[name], _KIND)
        return reference

    found = [_path_parameter(name, operation) for name in uritemplate.variables(operation.path)]
    if operation.is_paged:
        view = operation.view
        found += [_limit(view, shared("Limit")), _start_after(view), _order(view), _filter(view)]
        found += [_expand(view)] * bool(view.expands)
        found += [shared("Total")] * view.totals
    for name, schema in (operation.query or {}).items():
        rest = {key: value for key, value in schema.items() if key not in ("description", "required")}
        needed = {"required": True} if schema.get("required") else {}
        found.append(_query(name, str(schema.get("description", "")), rest) | needed)
    if operation.is_conditional:
        found.append(shared("IfNoneMatch"))
    if operation.checks_tag:
        found.append(shared("IfMatch"))
    return found


def _path_parameter(name: str, operation: Operation) -> Schema:
    looked_up = name == getattr(operation.view, "lookup_url_kwarg", "id")
    noun = operation.noun if looked_up else name.removesuffix("_id").replace("_", " ")
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": f"Id or name of the {noun}.",
        "schema": {"type": "string", "minLength": 1},
    }


def _query(name: str, description: str, schema: Schema) -> Schema:
    repeated = {"style": "form", "explode": True} if schema.get("type") == "array" else {}
    return {"name": name, "in": "query", "description": description, **repeated, "schema": schema}


def _limit(view: Any, usual: Schema) -> Schema:
    if view.usual_limit == DEFAULT_LIMIT:
        return usual
    return SHARED["Limit"] | {"schema": SHARED["Limit"]["schema"] | {"default": view.usual_limit}}


def _start_after(view: Any) -> Schema:
    member = view.cursor.wording if view.cursor else "`name`" if view.unique_names else "`name` or `id`"
    return _query("start_after", f"The {member} {_CURSOR}", {"type": "string", "maxLength": 255})


def _order(view: Any) -> Schema:
    fields = ", ".join(f"`{field}`" for field in view.orders)
    text = f"What to sort by: {fields}; each may be followed by `[asc]` or `[desc]`. Repeat it to sort by several."
    items = {"type": "string", "pattern": patterns.orders(view.orders)}
    return _query("order", text, {"type": "array", "items": items, "maxItems": MOST_ORDERS})


def _filter(view: Any) -> Schema:
    names = filter_names(view.filterset_class)
    text = (
        "What to list, each written `field[operator]value`; repeat it for objects that pass all of several. "
        "Separate the values of `in` and `not in` by commas; `like` ignores case, and `%` or `*` stand for any text: "
        f"up to {MOST_WILDCARDS} of them in a pattern of up to {LONGEST_PATTERN} characters."
        f"\n\n{_table(names)}"
    )
    items = {"type": "string", "maxLength": LONGEST_FILTER, "pattern": patterns.filters(names)}
    return _query("filter", text, {"type": "array", "items": items, "maxItems": MOST_FILTERS})


def _table(names: dict[str, WireFilter]) -> str:
    """The filterable fields by the operators they have."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, declared in names.items():
        alike.setdefault(declared.operators, []).append(f"`{name}`")
    rows = [f"| {', '.join(fields)} | {', '.join(f'`{op}`' for op in ops)} |" for ops, fields in alike.items()]
    return "\n".join(["| Field | Operators |", "|---|---|", *rows])


def _expand(view: Any) -> Schema:
    text = "Which related objects to show in full, beside their ids."
    return _query("expand", text, {"type": "array", "items": {"type": "string", "enum": list(view.expands)}})
