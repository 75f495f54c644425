"""The way in: whose token a request carries, and everything it is counted under on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest

from core.errors import ProblemError, UnauthenticatedError
from core.limits.limiter import refuse_used_up, take
from core.limits.policies import address_subject
from core.network import client_address
from core.permissions import Principal

Authenticate = Callable[[HttpRequest], Principal | None]  # None where the request names nobody
_MOST_SEEN = 10_000
_seen: dict[int, None] = {}  # tokens that were valid in this process, the oldest first
_remembering = threading.Lock()


def admit(request: HttpRequest, surface: str, authenticate: Authenticate) -> Principal:
    """Whoever the token stands for. A surface that is limited by address counts everybody before it is looked at."""
    policy = settings.LIMITS.get(surface)
    if policy is not None and policy.subject == "address":
        take(surface, address_of(request))
    principal = authenticated(request, authenticate)
    subjects = {"token": principal.token_id, "organization": principal.organization_id}
    for kind, subject in subjects.items():
        take(kind, subject)
    if policy is not None and policy.subject in subjects:
        take(surface, subjects[policy.subject])
    return principal


def authenticated(request: HttpRequest, authenticate: Authenticate) -> Principal:
    """Who has no valid token is counted by address; who has one is not, so no stranger's count is a neighbour's.

    Where an address has used up what strangers may do, only tokens that were valid before are looked up.
    """
    header = request.META.get("HTTP_AUTHORIZATION")
    token = hash(header)  # by a key of this process: nothing of the secret is kept
    if token not in _seen:
        refuse_used_up("stranger", address_of(request))
    try:
        principal = authenticate(request)
        if principal is None:
            raise UnauthenticatedError("the request carries no token")
    except ProblemError:
        take("stranger", address_of(request))
        raise
    _remember(token)
    return principal


def _remember(token: int) -> None:
    if token not in _seen:
        with _remembering:
            _seen[token] = None
            if len(_seen) > _MOST_SEEN:
                del _seen[next(iter(_seen))]


def address_of(request: HttpRequest) -> str:
    return address_subject(client_address(request))
