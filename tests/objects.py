"""Objects that tests make again and again, each by one call of the API."""

from __future__ import annotations

from typing import Any

from tests.api import Api

HTTP_SINK: dict[str, Any] = {"type": "sink_http", "url": "https://sink.example/events"}
TOKEN_CONFIG: dict[str, Any] = {"type": "token", "secret": "hush"}
SECRET_CONFIGS: dict[str, dict[str, Any]] = {
    "aws": {"access_key_id": "AKIA-{}", "secret_access_key": "{}", "session": "s-{}"},
    "aws_role": {"role_arn": "arn:{}", "external_id": "x-{}", "role_session_name": "n-{}"},
    "token": {"secret": "{}"},
    "basic": {"username": "u-{}", "secret": "{}"},
    "secret": {"secret": "{}"},
    "o_auth_client": {"client_id": "i-{}", "client_secret": "{}", "extra": {"kid": {"deep": ["e-{}"]}}},
    "tls_certificate": {"certificate": "c-{}", "private_key": "{}", "extra": {"more": "e-{}"}},
}


def ok(answer: Any) -> Any:
    """The result of an answer that must be a success."""
    assert answer.status_code == 200, answer.content.decode()
    return answer.json()["result"]


def make_account(api: Api, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = ok(api.post("/v1/accounts", members))["account"]
    return made


def make_credential(api: Api, owner: str, config: dict[str, Any] = TOKEN_CONFIG, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = ok(api.post(f"/v1/credentials/{owner}", {"config": config, **members}))
    return made


def make_point(api: Api, **members: Any) -> dict[str, Any]:
    body = {"connector": "sink", "environments": {"test": ["*"], "prod": ["*"]}, **members}
    made: dict[str, Any] = ok(api.post("/v1/integration-points", body))
    return made


def post_integration(api: Api, account: str, config: dict[str, Any] = HTTP_SINK, **members: Any) -> Any:
    return api.post(f"/v1/integrations/{account}", {"provider_config": config, **members})


def make_integration(api: Api, account: str, config: dict[str, Any] = HTTP_SINK, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = ok(post_integration(api, account, config, **members))["integration"]
    return made


def make_token(api: Api, permission_set: str = "administrator", **members: Any) -> tuple[dict[str, Any], Api]:
    """A token derived from the caller's, and a caller with it."""
    body = {"permission_set": permission_set, "resources": {}, **members}
    shown: dict[str, Any] = ok(api.post("/v1/tokens", body))
    return shown, Api(api.id, shown["primary"]["access"]["secret"], shown["id"])


def with_token(api: Api, pair: dict[str, Any]) -> Api:
    """A caller with the access secret of a pair that was just shown."""
    return Api(api.id, pair["access"]["secret"])


def signed_by(credential_id: str) -> dict[str, Any]:
    """A receiver that a stored token signs in to."""
    credential = {"type": "token_id", "value": credential_id}
    return {**HTTP_SINK, "authorization": {"type": "token_config", "credential": credential}}


def signed_inline(secret: str = "hush") -> dict[str, Any]:
    """A receiver that a token given inline signs in to."""
    credential = {"type": "token", "secret": secret}
    return {**HTTP_SINK, "authorization": {"type": "token_config", "credential": credential}}
