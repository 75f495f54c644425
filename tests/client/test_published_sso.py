"""Single sign-on configurations through the published client: both protocols, from create to delete."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

from typing import Any

import pytest
from synqly.management.auth import (
    CreateSsoConfiguration_Oidc,
    CreateSsoConfiguration_Saml,
    UpdateSsoConfiguration_Oidc,
    UpdateSsoConfiguration_Saml,
)
from synqly.management.common import ConflictError, NotFoundError

from tests.client.published import Published, exercises, new_name
from tests.identity.sso.keys import new_certificate

CERTIFICATE = new_certificate().pem
PARTS: dict[str, dict[str, Any]] = {
    "oidc": {"issuer_url": "https://login.example", "client_id": "app"},
    "saml": {
        "idp_entity_id": "https://idp.example/entity",
        "idp_sso_url": "https://idp.example/sso",
        "sp_entity_id": "https://synqmgr.example",
        "name_id_format": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    },
}
CREATED: dict[str, Any] = {
    "oidc": CreateSsoConfiguration_Oidc(**PARTS["oidc"], client_secret="hush"),
    "saml": CreateSsoConfiguration_Saml(**PARTS["saml"], idp_certificate=CERTIFICATE),
}
UPDATED: dict[str, Any] = {
    "oidc": UpdateSsoConfiguration_Oidc(**PARTS["oidc"] | {"client_id": "other"}),
    "saml": UpdateSsoConfiguration_Saml(
        **PARTS["saml"] | {"sp_entity_id": "other"}, idp_metadata_url="https://idp.example/meta"
    ),
}


@exercises(
    "GET /v1/auth/sso",
    "POST /v1/auth/sso",
    "GET /v1/auth/sso/{sso_id}",
    "PUT /v1/auth/sso/{sso_id}",
    "DELETE /v1/auth/sso/{sso_id}",
    "GET /v1/auth/meta",
)
@pytest.mark.parametrize("type_", CREATED)
def test_sso__from_create_to_delete__is_the_clients_model(published: Published, type_: str) -> None:
    fullname = new_name("Sign-on")
    made = published.auth.create_sso(fullname=fullname, config=CREATED[type_]).result
    shown = {"type": type_, **PARTS[type_]}
    assert {n: v for n, v in made.identity_provider.dict().items() if v is not None} == shown
    assert published.auth.get_sso(made.id).result == made
    assert made in published.auth.list_sso().result
    with pytest.raises(ConflictError):
        published.auth.create_sso(fullname=fullname, config=CREATED[type_])

    meta = published.auth.get_sso_metadata().result
    assert getattr(meta, type_) is not None

    changed = published.auth.update_sso(
        made.id, fullname=new_name("Renamed"), config=UPDATED[type_], updated_at=made.updated_at
    ).result
    assert (changed.name, changed.id, changed.created_at) == (made.name, made.id, made.created_at)
    assert changed.identity_provider != made.identity_provider

    published.auth.delete_sso(made.id)
    with pytest.raises(NotFoundError):
        published.auth.get_sso(made.id)
    assert all("hush" not in each.answer.text for each in published.exchanges)
    assert all("BEGIN CERTIFICATE" not in each.answer.text for each in published.exchanges)
