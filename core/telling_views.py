"""Views that tell of what they do: news of each change and of each refused one, with its body without secrets."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import orjson
from django.db import transaction

from core import activity
from core.errors import (
    InternalError,
    MalformedBodyError,
    Parameter,
    ProblemError,
    TooManyRequestsError,
    UnavailableError,
)
from core.faults import reach
from core.idempotency import services as idempotency
from core.masking import masked, masked_patch, shape_of
from core.open_views import OpenViewSet
from core.parsers import EMPTY
from core.permissions import Principal
from core.problems import as_problem
from core.tenancy import Scope, scoped

VERBS = {
    "list": "list",
    "create": "create",
    "retrieve": "get",
    "update": "update",
    "partial_update": "patch",
    "destroy": "delete",
}


READING = ("GET", "HEAD")
# The limiter's refusals are too many; the others refuse nothing.
UNRECORDED = frozenset({TooManyRequestsError.slug, InternalError.slug, UnavailableError.slug})


class TellingViewSet(OpenViewSet):
    """What is done is told in the transaction of the change, what is refused in one of its own."""

    resource: ClassVar[str]  # the permission table's name of what is acted on
    verbs: ClassVar[dict[str, str]] = {}  # action -> verb, for actions of its own

    principal: Principal = None  # type: ignore[assignment] # nobody before `initial`
    sent: Any = None  # the body, once it was read
    once: idempotency.Once | None = None
    has_recorded_refusal = False
    note = ""  # more about what was done, for the news of it

    def handle_exception(self, exc: Exception) -> Any:
        """A refused change is news as well."""
        problem = as_problem(exc)
        if self.principal is None and self.action is not None:  # refused before it was let in
            self.principal = problem.principal
        if self.principal is not None and not self.has_recorded_refusal and problem.slug not in UNRECORDED:
            try:
                self.record_refusal(problem)
            except Exception as failure:  # noqa: BLE001 - the answer tells that nothing works, see core.problems
                problem = as_problem(failure)
        return super().handle_exception(problem)

    def record_refusal(self, problem: ProblemError) -> None:
        """In a transaction of its own, since that of the change is undone."""
        if self.request.method not in READING:
            subject = None
            with transaction.atomic(), scoped(Scope(self.principal.organization_id)):
                with contextlib.suppress(ProblemError):
                    subject = self.addressed()
                self.record(problem, subject=subject)

    def addressed(self) -> Any:
        """What the address names, for the news of a refusal: the row, else something with its `account_id`."""
        return None

    def settle(self, content: bytes, status: int = 200, etag: str = "") -> None:
        """Keeps the answer for whoever sends the request again."""
        if self.once is not None:
            self.once.settle(content, status, etag)

    @property
    def verb(self) -> str:
        return self.verbs.get(self.action) or VERBS[self.action]

    def record(
        self,
        refusal: ProblemError | None = None,
        *,
        object_id: str = "",
        subject: Any = None,
        document: Callable[[], dict[str, Any]] | None = None,
        answer: Any = None,
    ) -> None:
        """Tells the recorder of a change or a refused one; reads are not news.

        It belongs into the transaction of the change, after all else. `answer` is the content of a POST's answer.
        """
        if self.request.method in READING:
            return
        self.has_recorded_refusal = refusal is not None
        activity.record(
            activity.Activity(
                resource=self.resource,
                verb=self.verb,
                object_id=object_id or getattr(subject, "pk", ""),
                token_id=self.principal.token_id,
                organization_id=self.principal.organization_id,
                refusal=refusal,
                note=self.note,
                member_id=self.principal.member_id,
                call=activity.call_of(self.request, self.masked_body()),
                subject=subject,
                document=document,
            )
        )
        if answer is not None and self.once is not None:
            self.settle(orjson.dumps(answer))
        reach("change-recorded")

    def masked_body(self) -> Any:
        """The body as far as it was read, without secrets."""
        if self.sent is None:
            return None
        body_class = self.body_class()
        shape = shape_of(body_class) if body_class else None
        return (masked_patch if self.action == "partial_update" else masked)(shape, self.sent)

    def has_body(self) -> bool:
        return self.data is not EMPTY

    def body(self) -> Any:
        """The request's body, which must be there."""
        if not self.has_body():
            raise MalformedBodyError("the request has no body", at=Parameter("body", ""))
        self.sent = self.data
        return self.sent
