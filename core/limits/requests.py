"""What a request is counted under: its address, then whoever its token stands for."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

from core.limits.limiter import take
from core.limits.policies import address_subject
from core.network import client_address
from core.permissions import Principal


def count_address(request: HttpRequest, surface: str) -> None:
    """Before the token is looked at: a surface whose policy is by address counts everybody."""
    policy = settings.LIMITS.get(surface)
    if policy is not None and policy.subject == "address":
        take(surface, address_subject(client_address(request)))


def count_stranger(request: HttpRequest) -> None:
    """A request without a valid token. Those with one are not counted, so a stranger takes nothing from a neighbour."""
    take("stranger", address_subject(client_address(request)))


def count_principal(principal: Principal, surface: str) -> None:
    """A request with a valid token: the token's count, its organization's, and the surface's if that is by either."""
    subjects = {"token": principal.token_id, "organization": str(principal.scope.organization_id)}
    take("token", subjects["token"])
    take("organization", subjects["organization"])
    policy = settings.LIMITS.get(surface)
    if policy is not None and policy.subject in subjects:
        take(surface, subjects[policy.subject])
