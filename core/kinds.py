"""Kinds of problems: the classes there are, what each means, and the shape of one on the wire."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from rest_framework import serializers

from core.errors import ProblemError
from core.fields import EnumField, InstantField, IntegerField, ListField, StringField

TITLES = {
    400: ("InvalidRequest", "The request breaks a rule of the API; `context.parameter` says where."),
    401: ("Unauthenticated", "The request carries no token, or one that is unknown, expired or deleted."),
    402: ("OrganizationDisabled", "The organization of the token is disabled."),
    403: ("Forbidden", "The token does not grant this operation on this object."),
    404: ("NotFound", "An object that the address names is not there, or not yours to see."),
    405: ("MethodNotAllowed", "The address does not take the method."),
    409: ("Conflict", "The request contradicts what is stored: a name that is taken, an object that has changed or "
          "is in use."),
    412: ("PreconditionFailed", "The object is not the one that `If-Match` names."),
    413: ("BodyTooLarge", "The body is larger than 256 KiB."),
    415: ("UnsupportedMediaType", "The body is of a media type that the API does not read."),
    422: ("IdempotencyMismatch", "The `Idempotency-Key` was used with another body."),
    429: ("TooManyRequests", "A limit on requests is used up; `Retry-After` says when to go on."),
    500: ("InternalError", "The service failed. The operator finds the reason in the log under the request id."),
    502: ("ProviderFailed", "The provider could not be reached, or answered not as it should have."),
    503: ("Unavailable", "The service is overloaded or its database away; `Retry-After` says when to try again."),
    504: ("ProviderTimeout", "The provider did not answer in time."),
}  # fmt: skip


class AnyField(serializers.JSONField):
    """Any JSON value."""


class ProblematicParameterSerializer(serializers.Serializer[Any]):
    """The part of the request that a problem is about."""

    id = StringField(help_text="Name of the parameter or header; for a body a JSON Pointer.")
    location = EnumField(("header", "path", "query", "body"), help_text="Where it is.")
    value = AnyField(required=False, help_text="What was sent, unless it is secret or long.")


class ResourceReferenceSerializer(serializers.Serializer[Any]):
    """An object that a problem speaks of."""

    type = StringField(help_text="What it is, such as `account`.")
    id = StringField(help_text="Its id.")
    rel = EnumField(("affected", "cause"), help_text="Whether it suffers the problem or causes it.")


class ProblemContextSerializer(serializers.Serializer[Any]):
    """Where a problem is and what it concerns."""

    parameter = ProblematicParameterSerializer(required=False, help_text="The part of the request that is wrong.")
    resources = ListField(child=ResourceReferenceSerializer(), required=False, help_text="The objects concerned.")
    raw_error = StringField(required=False, help_text="What the provider answered.")
    provider_details = serializers.DictField(
        child=StringField(), required=False, help_text="What is known of the provider's failure."
    )


class ProblemCauseSerializer(serializers.Serializer[Any]):
    """One of several problems of a request."""

    message = StringField(help_text="What is wrong, in one sentence.")
    detail = StringField(required=False, help_text="More about it.")
    remediation = StringField(required=False, help_text="What to do about it.")
    context = ProblemContextSerializer(  # type: ignore[assignment]  # the wire's name is also an attribute of DRF's
        required=False, help_text="Where it is."
    )
    type = StringField(help_text="A stable address that names the kind of problem: a page of these docs.")


class ProblemSerializer(serializers.Serializer[Any]):
    """Every error's body (RFC 9457). Decide by `type` and `status`; messages may change."""

    message = StringField(help_text="What is wrong, in one sentence.")
    detail = StringField(required=False, help_text="More about it.")
    remediation = StringField(required=False, help_text="What to do about it.")
    context = ProblemContextSerializer(  # type: ignore[assignment]  # the wire's name is also an attribute of DRF's
        required=False, help_text="Where the problem is."
    )
    type = StringField(
        required=False, help_text="A stable address that names the kind of problem: a page of these docs."
    )
    occurred_at = InstantField(help_text="When it happened.")
    status = IntegerField(help_text="The HTTP status of the answer.")
    instance = StringField(help_text="The request's id as a URN; give it to the operator of the service.")
    cause = ListField(child=ProblemCauseSerializer(), required=False, help_text="Each problem, when there are several.")


def problem_classes(base: type[ProblemError] = ProblemError) -> Iterator[type[ProblemError]]:
    """Every class of problem in the service's own code."""
    for derived in base.__subclasses__():
        if derived.__module__.partition(".")[0] in settings.APPS:
            yield derived
        yield from problem_classes(derived)


def kinds() -> dict[str, type[ProblemError]]:
    """Problems by slug, in order of their status; of classes that share one, the first."""
    found: dict[str, type[ProblemError]] = {}
    for each in problem_classes():
        found.setdefault(each.slug, each)
    return dict(sorted(found.items(), key=lambda item: (item[1].status, item[0])))


def meaning(kind: type[ProblemError]) -> str:
    """What a kind of problem means, in its author's words."""
    return inspect.cleandoc(kind.__doc__) if kind.__doc__ else TITLES[kind.status][1]
