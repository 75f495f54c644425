"""Errors: the one problem shape, the classes that raise it and the one function that builds it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

ABSENT: Any = object()  # the value is secret, too large or not there: it is not echoed


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """Where a problem is: the location, the name (for a body a JSON Pointer) and the value unless secret."""

    location: Literal["body", "query", "path", "header"]
    id: str
    value: Any = ABSENT


@dataclasses.dataclass(frozen=True, slots=True)
class Related:
    """An object a problem speaks of; `type` is a contract noun such as `account`."""

    type: str
    id: str
    rel: Literal["affected", "cause"] = "affected"


class ProblemError(Exception):
    """Base of every error the API answers with. Subclasses fix the status and the stable type."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "invalid-request"
    remedy: ClassVar[str] = "Correct the request and send it again."
    principal: Any = None  # whose secret it was that was refused, if it was right in itself

    def __init__(  # noqa: PLR0913 - the parts of a Problem, all named
        self,
        message: str,
        *,
        at: Parameter | None = None,
        detail: str = "",
        remediation: str = "",
        related: Sequence[Related] = (),
        causes: Sequence[ProblemError] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.detail = detail
        self.remediation = remediation or self.remedy
        self.related = related
        self.causes = causes
        self.headers = headers or {}


class InvalidError(ProblemError):
    """A value breaks a rule that the API states."""


class MalformedBodyError(ProblemError):
    """The body is not the JSON the API reads."""

    slug = "malformed-body"
    remedy = "Send one JSON value in UTF-8 within the documented limits."


class PatchError(ProblemError):
    """A JSON Patch is malformed, addresses what is not there, or costs too much."""

    slug = "invalid-patch"
    remedy = "Send a JSON Patch (RFC 6902) whose paths exist in the object as GET shows it."


class PatchTestError(ProblemError):
    """A `test` operation of a JSON Patch found another value."""

    status = 409
    slug = "patch-test-failed"
    remedy = "Read the object again and build the patch from what is there now."


class UnauthenticatedError(ProblemError):
    """The request carries no token, or one that is unknown, expired or deleted."""

    status = 401
    slug = "unauthenticated"
    remedy = "Send `Authorization: Bearer <access secret>` with a token that is neither expired nor deleted."


class OrganizationDisabledError(ProblemError):
    """The token's organization is disabled, or its evaluation has ended."""

    status = 402
    slug = "organization-disabled"
    remedy = "Ask the operator of this service to enable the organization."


class ForbiddenError(ProblemError):
    """The token is valid, and does not grant this."""

    status = 403
    slug = "forbidden"
    remedy = "Use a token whose permission set grants this operation on this object."


class NotFoundError(ProblemError):
    """Nothing is at this address, or nothing that the token may see."""

    looked_for = ""  # the id or name; core.problems finds out which part of the address gave it
    status = 404
    slug = "not-found"
    remedy = "Check the id or name; objects outside your organization and your token's scope are not shown."


class ConflictError(ProblemError):
    """The change does not fit what is stored now."""

    status = 409
    slug = "conflict"
    remedy = "Read the object again and repeat the change on what is there now."


class DuplicateNameError(ConflictError):
    """Another object of the same kind and place has the name."""

    slug = "duplicate-name"
    remedy = "Choose another name, or leave `name` out to have one made from `fullname`."

    @classmethod
    def of(cls, name: str, at: str) -> Self:
        """A name that is taken, and where in the body it stands."""
        return cls(f"the name {name!r} is taken", at=Parameter("body", at, name))


class StaleError(ConflictError):
    """The object has changed since the `updated_at` in the body."""

    slug = "stale-object"


class InUseError(ConflictError):
    """Other objects use the one that was to be deleted or changed; `context.resources` names them."""

    slug = "in-use"
    remedy = "Remove what uses the object first."


class PreconditionFailedError(ProblemError):
    """The object is not the one that `If-Match` names."""

    status = 412
    slug = "precondition-failed"
    remedy = "Read the object again for its current ETag."


class TooLargeError(ProblemError):
    """The body has more than 256 KiB."""

    status = 413
    slug = "body-too-large"
    remedy = "Send a body of at most 256 KiB."


class UnsupportedMediaTypeError(ProblemError):
    """The body is of a media type that this operation does not read."""

    status = 415
    slug = "unsupported-media-type"
    remedy = "Send `Content-Type: application/json`."


class TooManyRequestsError(ProblemError):
    """A limit on requests is used up: of the token, its organization, or the address it comes from.

    `Retry-After` and `RateLimit` say in how many seconds a new window begins, `RateLimit-Policy` how many requests it
    takes. Until then nothing of the request was done.
    """

    status = 429
    slug = "too-many-requests"
    remedy = "Wait for as many seconds as `Retry-After` says, then go on more slowly."


class ProviderFailedError(ProblemError):
    """The provider answered, but not as it should have."""

    status = 502
    slug = "provider-failed"
    remedy = "Check the provider's address and credential, then try again."


class ProviderTimeoutError(ProviderFailedError):
    status = 504
    slug = "provider-timeout"
    remedy = "Check that the provider is reachable, then try again."


class MethodNotAllowedError(ProblemError):
    status = 405
    slug = "method-not-allowed"
    remedy = "Use a method that the API docs show for this address."


class UnavailableError(ProblemError):
    """The database or another part the service needs did not answer in time."""

    status = 503
    slug = "unavailable"
    remedy = "Try again in a moment."


class InternalError(ProblemError):
    """A bug. The log holds it under the request id."""

    status = 500
    slug = "internal-error"
    remedy = "Report the request id to the operator of this service."
