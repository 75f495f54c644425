"""The security scheme of every operation that asks for a token."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.settings import api_settings


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <access secret>`."""

    target_class = api_settings.user_settings["DEFAULT_AUTHENTICATION_CLASSES"][0]
    match_subclasses = True
    name = "TokenAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "sqm_<public id>_<secret>",
            "description": "The access secret of a token, such as the one that was shown when the token was created. "
            "The refresh of a token takes its refresh secret instead.",
        }
