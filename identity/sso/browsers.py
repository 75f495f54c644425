"""The cookie that binds a sign-in to the browser that began it."""

from __future__ import annotations

from typing import Literal

from django.http import HttpRequest, HttpResponse

from identity.sso import places
from identity.sso.attempts import ATTEMPT_LIVES, is_secret, new_secret
from identity.sso.models import OIDC


def cookie_name(type_: str) -> str:
    """`__Host-` keeps other hosts of the same domain from setting it; browsers take it with https alone."""
    return f"{'__Host-' if places.is_secure() else ''}synqmgr-{type_}"


def browser_of(request: HttpRequest, type_: str) -> str | None:
    """What the browser was given when it began a sign-in."""
    value = request.COOKIES.get(cookie_name(type_))
    return value if is_secret(value) else None


def mark_browser(response: HttpResponse, type_: str, browser: str) -> None:
    """Gives the browser something to be known by. Alone it opens nothing: every answer needs its `state` too.

    A SAML response comes by a POST from another site, with which only a cookie of `SameSite=None` is sent.
    """
    secure = places.is_secure()
    same_site: Literal["Lax", "None"] | None = "Lax" if type_ == OIDC else "None" if secure else None
    response.set_cookie(
        cookie_name(type_),
        browser,
        max_age=int(ATTEMPT_LIVES.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite=same_site,
    )


def known_browser(request: HttpRequest, type_: str) -> str:
    """The browser's mark, or a new one: sign-ins in several of its tabs share one."""
    return browser_of(request, type_) or new_secret()
