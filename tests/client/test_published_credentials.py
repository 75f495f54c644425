"""Credentials through the published client: every type, every owner that there is."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from synqly.management.common import ConflictError, NotFoundError
from synqly.management.credentials import (
    CredentialConfig_Aws,
    CredentialConfig_AwsRole,
    CredentialConfig_Basic,
    CredentialConfig_OAuthClient,
    CredentialConfig_Secret,
    CredentialConfig_TlsCertificate,
    CredentialConfig_Token,
    CredentialType,
)

from tests.client.published import Published, exercises, members, new_name, words

CONFIGS: dict[str, Any] = {
    "aws": CredentialConfig_Aws(access_key_id="AKIA", secret_access_key="hush", session="s"),
    "aws_role": CredentialConfig_AwsRole(role_arn="arn:aws:iam::1:role/r", external_id="x", duration=900),
    "token": CredentialConfig_Token(secret="hush"),
    "basic": CredentialConfig_Basic(username="ann", secret="hush"),
    "secret": CredentialConfig_Secret(secret="https://hooks.example/hush"),
    "o_auth_client": CredentialConfig_OAuthClient(client_id="app", client_secret="hush", extra={"kid": "1"}),
    "tls_certificate": CredentialConfig_TlsCertificate(certificate="-----BEGIN", private_key="hush"),
}


def test_credential_types__of_the_client__are_all_here() -> None:
    assert set(CONFIGS) == {word.value for word in words(CredentialType)}


@exercises(
    "GET /v1/credentials/{owner_id}",
    "POST /v1/credentials/{owner_id}",
    "GET /v1/credentials/{owner_id}/{credential_id}",
    "PUT /v1/credentials/{owner_id}/{credential_id}",
    "PATCH /v1/credentials/{owner_id}/{credential_id}",
    "DELETE /v1/credentials/{owner_id}/{credential_id}",
    "GET /v1/credentials/lookup/{credential_id}",
)
@pytest.mark.parametrize("type_", CONFIGS)
def test_credential__every_type_from_create_to_delete__is_the_clients_model(published: Published, type_: str) -> None:
    account, name = published.accounts.create(name=new_name("north")).result.account, new_name("key")
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    made = published.credentials.create(account.id, name=name, config=CONFIGS[type_], expires=expires).result
    assert (made.config.type, made.account_id, made.owner_type) == (type_, account.id, "account")
    assert (made.managed, made.expires) == ("Unmanaged", expires)
    for shown in (
        published.credentials.get(account.name, name).result,
        published.credentials.get(account.id, made.id).result,
        published.credentials.lookup(made.id).result,
    ):
        assert shown == made
    assert published.credentials.list(account.id, filter=f"type[eq]{type_}").result == [made]

    whole = members(made) | {"fullname": "Renamed", "config": CONFIGS[type_]}
    updated = published.credentials.update(account.id, made.id, **whole).result
    assert (updated.fullname, updated.expires) == ("Renamed", expires)
    request = [{"op": "replace", "path": "/config", "value": {"type": "token", "secret": "new"}},
               {"op": "remove", "path": "/expires"}]  # fmt: skip
    patched = published.credentials.patch(account.id, name, request=request).result
    assert (patched.config.type, patched.expires) == ("token", None)

    published.credentials.delete(account.id, name)
    with pytest.raises(NotFoundError):
        published.credentials.delete(account.id, made.id)
    with pytest.raises(NotFoundError):
        published.credentials.lookup(made.id)
    assert all("hush" not in each.answer.text for each in published.exchanges)


def test_credential__owned_by_an_integration_point__names_it(published: Published) -> None:
    point = published.integration_points.create(
        name=new_name("point"), connector="ticketing", environments={"test": ["*"]}
    ).result
    made = published.credentials.create(
        point.name, owner_type="integration_point", config=CONFIGS["token"], name="shared"
    ).result
    assert (made.owner_type, made.integration_point_id, made.account_id) == ("integration_point", point.id, None)
    assert published.credentials.list(point.id).result == [made]


def test_credential__owned_by_an_integration__names_it_and_its_account(published: Published) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    integration = published.integrations.create(
        account.id, name="siem", provider_config={"type": "siem_mock_siem"}
    ).result.integration
    made = published.credentials.create(
        integration.id, owner_type="integration", config=CONFIGS["basic"], name="spare"
    ).result
    assert (made.owner_type, made.integration_id, made.account_id) == ("integration", integration.id, account.id)
    assert published.credentials.get(integration.id, "spare").result == made
    published.integrations.delete(account.id, "siem")
    with pytest.raises(NotFoundError):
        published.credentials.lookup(made.id)


def test_credential__in_use__cannot_be_deleted(published: Published) -> None:
    account = published.accounts.create(name=new_name("north")).result.account
    stored = published.credentials.create(account.id, config=CONFIGS["basic"]).result
    config = {
        "type": "ticketing_jira",
        "url": "http://127.0.0.1:9",
        "credential": {"type": "basic_id", "value": stored.id},
    }
    used_by = published.integrations.create(account.id, provider_config=config).result.integration
    with pytest.raises(ConflictError) as refused:
        published.credentials.delete(account.id, stored.id)
    assert refused.value.body.type == "/problems/in-use"
    published.integrations.delete(account.id, used_by.id)
    published.credentials.delete(account.id, stored.id)
