"""The client's address, seen through as many proxies as the settings trust and no more."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The n-th forwarded address from the right for n trusted proxies; the peer when there are none."""
    peer: str = request.META.get("REMOTE_ADDR", "")
    trusted = settings.TRUSTED_PROXIES
    if trusted < 1:
        return peer
    forwarded = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    return forwarded[-trusted] if len(forwarded) >= trusted else peer
