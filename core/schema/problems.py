"""Problems in the schema: their components, and the answers of operations that end in one."""

from __future__ import annotations

from typing import Any

from core.errors import InvalidError, Parameter, ProblemError, Related
from core.kinds import TITLES, kinds, meaning
from core.problems import build_problem
from core.schema.declarations import Operation
from core.schema.parameters import LIMIT_HEADERS

_OCCURRED = "2026-01-31T12:00:00.000000Z"
_REQUEST = "019c1472-8c00-7a11-9d6e-2f6c3b1f5a07"
_ALWAYS = (400, 500, 503)
_OF_TOKENS = (401, 402, 403)


def statuses_of(operation: Operation, *, body: bool, secured: bool) -> list[int]:
    """The error statuses that an operation can answer with."""
    view, changes = operation.view, operation.method != "GET"
    found = {*_ALWAYS, *(_OF_TOKENS if secured else ()), *(each.status for each in operation.raises)}
    if "{" in operation.path or getattr(view, "singleton", False):
        found.add(404)
    if changes:
        found.add(409)
    if operation.checks_tag:
        found.add(412)
    if body:
        found |= {413, 415}
    if operation.heeds_key:
        found.add(422)
    if any(each.status == 429 for each in kinds().values()):
        found.add(429)
    return sorted(found)


def answer_name(status: int) -> str:
    return TITLES[status][0]


def answer(status: int, schema: dict[str, Any]) -> dict[str, Any]:
    """The response component of a status, with an example of each kind of problem that has it."""
    examples = {
        slug: {"summary": meaning(kind).partition("\n")[0], "value": example(kind)}
        for slug, kind in sorted(kinds().items(), key=lambda item: item[0] != InvalidError.slug)
        if kind.status == status
    }
    headers: dict[str, Any] = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    if status == 429:
        headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in LIMIT_HEADERS}
    if status == 401:
        headers["WWW-Authenticate"] = {"description": "`Bearer`", "schema": {"type": "string"}}
    content: dict[str, Any] = {"schema": schema} | ({"examples": examples} if examples else {})
    return {
        "description": TITLES[status][1],
        "headers": headers,
        "content": {"application/problem+json": content},
    }


def example(kind: type[ProblemError]) -> dict[str, Any]:
    """A problem as the wire shows it."""
    at = {400: Parameter("query", "limit", "0"), 409: Parameter("body", "/name", "acme")}.get(kind.status)
    message = {"invalid-request": "`limit` must be a whole number from 1 to 1000"}.get(kind.slug, "")
    sentence = message or meaning(kind).partition("\n")[0].rstrip(".")
    if kind.slug not in ("invalid-request", "duplicate-name"):
        at = None
    related = [Related("integration", _REQUEST, "cause")] if kind.slug == "in-use" else []
    problem = build_problem(kind(sentence[:1].lower() + sentence[1:], at=at, related=related), _REQUEST)
    return problem | {"occurred_at": _OCCURRED}
