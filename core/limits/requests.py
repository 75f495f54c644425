"""The way in: whose token a request carries, and everything it is counted under on the way."""

from __future__ import annotations

from django.conf import settings
from rest_framework.request import Request

from core.errors import ProblemError, UnauthenticatedError
from core.limits.limiter import take
from core.limits.policies import address_subject
from core.network import client_address
from core.permissions import Principal


def admit(request: Request, surface: str) -> Principal:
    """Whoever the token stands for. A surface that is limited by address counts everybody before it is looked at."""
    policy = settings.LIMITS.get(surface)
    if policy is not None and policy.subject == "address":
        take(surface, address_of(request))
    principal = authenticated(request)
    subjects = {"token": principal.token_id, "organization": principal.organization_id}
    for kind, subject in subjects.items():
        take(kind, subject)
    if policy is not None and policy.subject in subjects:
        take(surface, subjects[policy.subject])
    return principal


def authenticated(request: Request) -> Principal:
    """Who has no valid token is counted by address; who has one is not, so no stranger's count is a neighbour's."""
    try:
        if isinstance(request.user, Principal):
            return request.user
        raise UnauthenticatedError("the request carries no token")
    except ProblemError:
        take("stranger", address_of(request))
        raise


def address_of(request: Request) -> str:
    return address_subject(client_address(request._request))
