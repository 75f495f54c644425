"""Problems on the wire: the one function that builds the shape, and the one exception handler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from django.core.exceptions import (
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DatabaseError, DataError, IntegrityError, OperationalError
from django.db.models import Model, ProtectedError, RestrictedError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import RawPostDataException, UnreadablePostError
from rest_framework import exceptions as drf

from core import errors
from core.columns import fold
from core.errors import ABSENT, Parameter, ProblemError, Related
from core.instants import now_text

log = structlog.get_logger("synqmgr.problems")


def context_of(error: ProblemError) -> dict[str, Any] | None:
    """Where a problem is and what it speaks of; None when neither is known."""
    context: dict[str, Any] = {}
    if error.at is not None:
        context["parameter"] = {"id": error.at.id, "location": error.at.location}
        if error.at.value is not ABSENT:
            context["parameter"]["value"] = error.at.value
    if error.related:
        context["resources"] = [{"type": r.type, "id": r.id, "rel": r.rel} for r in error.related]
    return context or None


def _details(error: ProblemError) -> dict[str, Any]:
    shown = {
        "message": error.message,
        "detail": error.detail or None,
        "remediation": error.remediation,
        "context": context_of(error),
        "type": f"/problems/{error.slug}",
    }
    return {name: value for name, value in shown.items() if value is not None}


def build_problem(error: ProblemError, request_id: str) -> dict[str, Any]:
    """The `Problem` of the contract."""
    problem = _details(error) | {
        "occurred_at": now_text(),
        "status": error.status,
        "instance": f"urn:uuid:{request_id}",
    }
    if error.causes:
        problem["cause"] = [_details(cause) for cause in error.causes[:100]]
    return problem


def problem_response(error: ProblemError, request: HttpRequest) -> HttpResponse:
    """A problem as a response."""
    body = orjson.dumps(build_problem(error, getattr(request, "request_id", "")), default=str)
    response = HttpResponse(body, content_type="application/problem+json", status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    if isinstance(error, errors.UnauthenticatedError):
        response["WWW-Authenticate"] = 'Bearer realm="synqmgr"'
    return response


def as_problem(error: Exception) -> ProblemError:  # noqa: PLR0911 - one line a kind
    """Any exception as the problem it amounts to."""
    match error:
        case ProblemError():
            return error
        case Http404() | ObjectDoesNotExist():
            return errors.NotFoundError("there is nothing at this address")
        case PermissionDenied():
            return errors.ForbiddenError("the token does not grant this operation")
        case RequestDataTooBig():
            return errors.TooLargeError("the body is larger than 256 KiB")
        case UnreadablePostError() | RawPostDataException() | SuspiciousOperation():
            return errors.MalformedBodyError("the request could not be read")
        case drf.ValidationError() | ValidationError():
            return errors.InvalidError("the request breaks a rule of the API", detail=str(error)[:500])
        case RestrictedError() | ProtectedError():
            return errors.InUseError("the object is used by others", related=_users(error))
        case IntegrityError() if "unique" in str(error).lower() or "foreign key" in str(error).lower():
            return errors.ConflictError("another request changed the same objects at the same time")
        case DataError():
            log.error("value_refused_by_database", error=str(error).partition("\n")[0])
            return errors.InvalidError("a value of the request is none that can be stored or looked up")
        case OperationalError():
            log.error("database_unavailable", error=str(error))
            return errors.UnavailableError("the database did not answer in time", headers={"Retry-After": "1"})
        case _:
            log.error("unhandled_error", exc_info=error, database=isinstance(error, DatabaseError))
            return errors.InternalError("the service failed to handle this request")


def _users(error: RestrictedError | ProtectedError) -> list[Related]:
    """The objects that stand in the way of a delete."""
    holders = error.restricted_objects if isinstance(error, RestrictedError) else error.protected_objects
    named: list[Model] = sorted(holders, key=lambda holder: str(holder.pk))[:20]
    known = [h for h in named if hasattr(h, "resource_type")]
    return [Related(h.resource_type, getattr(h, "holder_id", h.pk), "cause") for h in known]


def handle_exception(error: Exception, request: HttpRequest, address: Mapping[str, Any]) -> HttpResponse:
    """The one place where errors of views become answers. `address` is what the view's address names."""
    problem = as_problem(error)
    if isinstance(problem, errors.NotFoundError) and problem.at is None:
        problem.at = _place_of(problem.looked_for, address)
    return problem_response(problem, request)


def _place_of(looked_for: str, address: Mapping[str, Any]) -> Parameter | None:
    """The parameter of an address that names what is not there; None unless it is just one."""
    named = [(name, str(value)) for name, value in address.items() if fold(str(value)) == fold(looked_for)]
    return Parameter("path", named[0][0], named[0][1][:200]) if len(named) == 1 else None
