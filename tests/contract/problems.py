"""What every error looks like, by the published client's own model."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import orjson
from pydantic import BaseModel
from synqly.management import Problem  # type: ignore[import-untyped] # the client ships no marker of its types

_INSTANCE = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def assert_problem(answer: Any, status: int, slug: str = "", *, at: str | None = None) -> dict[str, Any]:
    """Checks that an answer is the Problem of this status (of this type, about this place) and gives it."""
    assert answer.status_code == status, answer.content.decode()
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content, strict=True)
    _refuse_extra(problem)
    assert problem.status == status
    assert problem.message
    assert problem.remediation
    assert _INSTANCE.match(problem.instance)
    assert problem.instance == f"urn:uuid:{answer.headers['X-Request-Id']}"
    assert abs(dt.datetime.now(dt.UTC) - problem.occurred_at) < dt.timedelta(minutes=1)
    assert re.fullmatch(r"/problems/[a-z-]+", str(problem.type))
    if slug:
        assert problem.type == f"/problems/{slug}"
    shown: dict[str, Any] = orjson.loads(answer.content)
    if at is not None:
        assert shown["context"]["parameter"]["id"] == at, shown
    return shown


def _refuse_extra(model: BaseModel) -> None:
    """Members that the contract does not have, at any depth."""
    assert not model.model_extra, f"{type(model).__name__} has no {sorted(model.model_extra)}"
    for value in dict(model).values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, BaseModel):
                _refuse_extra(each)


def without_identity(answer: Any, *identifiers: str) -> tuple[Any, ...]:
    """An answer without its request id, its time and the identifiers it echoes: what may tell two apart."""
    content = answer.content.decode()
    for identifier in identifiers:
        content = content.replace(identifier, "IDENTIFIER")
    content = re.sub(r'"(occurred_at|instance)":"[^"]*"', r'"\1":""', content)
    dropped = ("X-Request-Id", "Content-Length")
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in dropped)
    return answer.status_code, headers, content
