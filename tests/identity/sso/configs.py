"""Configurations of identity providers, as bodies of the API."""

from __future__ import annotations

import itertools
from typing import Any

from tests.api import Api
from tests.identity.sso.keys import idp_signer
from tests.objects import ok

_number = itertools.count(1)
OIDC: dict[str, Any] = {
    "type": "oidc",
    "issuer_url": "https://login.example",
    "client_id": "app",
    "client_secret": "hush-hush",
}
SAML: dict[str, Any] = {
    "type": "saml",
    "idp_entity_id": "https://idp.example/entity",
    "idp_sso_url": "https://idp.example/sso",
    "idp_certificate": idp_signer().pem,
    "sp_entity_id": "https://synqmgr.example",
}


def make_sso(api: Api, config: dict[str, Any] = OIDC, **members: Any) -> dict[str, Any]:
    body = {"fullname": f"Sign-on {next(_number)}", "config": config, **members}
    made: dict[str, Any] = ok(api.post("/v1/auth/sso", body))
    return made


def put_sso(api: Api, sso: dict[str, Any], config: dict[str, Any], **members: Any) -> Any:
    """The answer to an update as the published client sends it."""
    body = {"fullname": sso["fullname"], "config": config, **members}
    return api.put(f"/v1/auth/sso/{sso['id']}", body)
