"""The security schemes of operations that ask for a token."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.settings import api_settings


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <secret>`; the class of authentication says which: its `scheme` and `description`."""

    target_class = api_settings.user_settings["DEFAULT_AUTHENTICATION_CLASSES"][0]
    match_subclasses = True

    @property
    def name(self) -> str:  # type: ignore[override]
        return str(self.target.scheme)

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sqm_<public id>_<secret>",
            "description": self.target.description,
        }
