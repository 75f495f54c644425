"""One valid object of every resource. To add a resource, write one function and its line in `EXAMPLES`.

The function gets the principal that makes the object. What the object needs first (an account that owns
it) it makes through `parent`, once for each organization, so that all examples share one address. Run
`pytest tests/contract`: whatever the resource declares is then proved for it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

from tests.api import Api

_number = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Example:
    """How to make one object.

    `path` is what the address holds besides the object's own id. `result` names the member of the
    answer's `result` that is the object, when it is not `result` itself. `shown` is the object, for a
    resource whose address cannot make one. `unshown` are members that PUT needs and GET does not show.
    `references` are places in the body that name another object (JSON Pointer), and what makes such an
    object for a principal. `bodies` are the bodies of actions that only this resource has.
    `statements` is what making one may cost; more than the usual for what makes other objects with it.
    """

    body: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: Mapping[str, str] = dataclasses.field(default_factory=dict)
    result: str = ""
    shown: dict[str, Any] | None = None
    unshown: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    references: Mapping[str, Callable[[Api], str]] = dataclasses.field(default_factory=dict)
    bodies: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    statements: int = 6


def new_name(noun: str) -> str:
    return f"{noun}-{next(_number)}"


def parent(api: Api, path: str, body: dict[str, Any], result: str = "") -> str:
    """The id of an object made once for each organization: the owner of the examples."""
    found = api.get(f"{path}/{body['name']}")
    if found.status_code == 200:
        return str(found.json()["result"]["id"])
    made = api.post(path, body)
    assert made.status_code == 200, made.content
    shown = made.json()["result"]
    return str((shown[result] if result else shown)["id"])


def parent_account(api: Api) -> str:
    return parent(api, "/v1/accounts", {"name": "parent", "labels": ["gold"]}, "account")


def account(api: Api) -> Example:
    body = {"name": new_name("account"), "fullname": "Example", "environment": "test", "labels": ["gold", "eu"]}
    return Example(body, result="account")


def token(api: Api) -> Example:
    body = {
        "name": new_name("token"),
        "fullname": "Example",
        "resources": {"organizations": {"ids": [api.id]}, "accounts": {"ids": [parent_account(api)]}},
        "permission_set": "viewer",
        "token_ttl": "1h",
    }
    organization: Callable[[Api], str] = lambda of: of.id  # noqa: E731 - the organization itself is the reference
    return Example(
        body, references={"/resources/accounts/ids/0": parent_account, "/resources/organizations/ids/0": organization}
    )


def organization(api: Api) -> Example:
    return Example(shown=api.get("/v1/organization").json()["result"])


def credential(api: Api) -> Example:
    config = {"type": "token", "secret": "hush"}
    body = {"name": new_name("credential"), "fullname": "Example", "config": config}
    return Example(body, {"owner_id": parent_account(api)}, unshown={"config": config})


def credential_by_id(api: Api) -> Example:
    example = credential(api)
    made = api.post(f"/v1/credentials/{example.path['owner_id']}", example.body)
    return Example(shown=made.json()["result"])


def point_body(name: str) -> dict[str, Any]:
    return {"name": name, "connector": "notifications", "environments": {"test": ["*"], "prod": ["*"]}}


def parent_point(api: Api) -> str:
    return parent(api, "/v1/integration-points", point_body("parent-point"))


def parent_credential(api: Api) -> str:
    body = {"name": "parent-credential", "config": {"type": "token", "secret": "hush"}}
    return parent(api, f"/v1/credentials/{parent_account(api)}", body)


def integration_point(api: Api) -> Example:
    return Example(point_body(new_name("point")) | {"fullname": "Example", "description": "Alerts"})


def integration(api: Api) -> Example:
    config = {
        "type": "notifications_slack",
        "channel": "#alerts",
        "url": "https://127.0.0.1:9",  # refused before anything is sent
        "credential": {"type": "token_id", "value": parent_credential(api)},
    }
    body = {
        "name": new_name("integration"),
        "fullname": "Example",
        "provider_config": config,
        "integration_point_id": parent_point(api),
    }
    references = {"/integration_point_id": parent_point, "/provider_config/credential/value": parent_credential}
    verifying = {"verify": {"integration": body}, "verify_existing": None}
    return Example(
        body, {"account_id": parent_account(api)}, "integration", references=references, bodies=verifying, statements=16
    )


def integration_of_all(api: Api) -> Example:
    example = integration(api)
    made = api.post(f"/v1/integrations/{example.path['account_id']}", example.body)
    return Example(shown=made.json()["result"]["integration"])


EXAMPLES: dict[str, Callable[[Api], Example]] = {
    "AccountViewSet": account,
    "CredentialLookupViewSet": credential_by_id,
    "CredentialViewSet": credential,
    "IntegrationPointViewSet": integration_point,
    "IntegrationViewSet": integration,
    "OrganizationIntegrationViewSet": integration_of_all,
    "OrganizationViewSet": organization,
    "TokenViewSet": token,
}
