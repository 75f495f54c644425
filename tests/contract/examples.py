"""One valid object of every resource. To add a resource, write one function and its line in `EXAMPLES`.

The function gets the principal that makes the object, and the place it is for. What the object needs first
(an account that owns it) it makes through `parent`, once for each organization and place, so that the
examples of one place share one address. Run `pytest tests/contract tests/access`: whatever the resource
declares is then proved for it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from django.utils import timezone

from core.columns import new_id
from core.reading import reader_of
from core.tenancy import scoped
from integrations.operations.models import Execution, Operation, OperationStatus, OperationTriggerType
from integrations.operations.serializers import OperationSerializer
from tests.api import Api

_number = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Place:
    """A part of an organization: what a token can be narrowed to. An example lies in all of it."""

    account: str
    label: str
    environment: str
    connector: str
    provider_config: Mapping[str, Any]
    needs_credential: bool = False


HERE = Place(
    account="here",
    label="gold",
    environment="test",
    connector="notifications",
    # The address is refused before anything is sent to it.
    provider_config={"type": "notifications_slack", "channel": "#alerts", "url": "https://127.0.0.1:9"},
    needs_credential=True,
)
ELSEWHERE = Place(
    account="elsewhere",
    label="lead",
    environment="prod",
    connector="ticketing",
    provider_config={"type": "ticketing_pagerduty_mock", "dataset": "basic_v0"},
)


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


def account_body(name: str, at: Place) -> dict[str, Any]:
    return {"name": name, "fullname": "Example", "environment": at.environment, "labels": [at.label, "eu"]}


def parent_account(api: Api, at: Place = HERE) -> str:
    return parent(api, "/v1/accounts", account_body(at.account, at), "account")


def account(api: Api, at: Place) -> Example:
    return Example(account_body(new_name("account"), at), result="account")


def token(api: Api, at: Place) -> Example:
    body = {
        "name": new_name("token"),
        "fullname": "Example",
        "resources": {"organizations": {"ids": [api.id]}, "accounts": {"ids": [parent_account(api, at)]}},
        "permission_set": "token-issuer",
        "token_ttl": "1h",
        "allowed_networks": ["127.0.0.0/8", "2001:db8::/32"],
    }
    bodies = {"create_mcp_token": {"scope": {"type": "developer", "account_id": parent_account(api, at)}}}

    def organization_id(of: Api) -> str:
        return of.id

    references: dict[str, Callable[[Api], str]] = {
        "/resources/accounts/ids/0": parent_account,
        "/resources/organizations/ids/0": organization_id,
    }
    return Example(body, references=references, bodies=bodies)


def role(api: Api, at: Place) -> Example:
    body = {
        "name": new_name("role"),
        "fullname": "Example",
        "description": "Reads the accounts of one place.",
        "resources": {"accounts": {"ids": [parent_account(api, at)]}},
        "permission_set": "viewer",
    }
    return Example(body, references={"/resources/accounts/ids/0": parent_account})


def member(api: Api, at: Place) -> Example:
    body = {
        "name": new_name("member"),
        "fullname": "Example",
        "secret": "seven horses eat paper",
        "role_binding": ["viewer"],
        "type": "service",
    }
    return Example(body, result="member", statements=12)


def sub_organization(api: Api, at: Place) -> Example:
    body = {"name": new_name("below"), "fullname": "Example", "contact": "ops@example.com"}
    return Example(body, result="organization", statements=24)


def organization(api: Api, at: Place) -> Example:
    return Example(shown=api.get("/v1/organization").json()["result"])


def credential(api: Api, at: Place) -> Example:
    config = {"type": "token", "secret": "hush"}
    body = {"name": new_name("credential"), "fullname": "Example", "config": config}
    return Example(body, {"owner_id": parent_account(api, at)}, unshown={"config": config})


def credential_by_id(api: Api, at: Place) -> Example:
    example = credential(api, at)
    made = api.post(f"/v1/credentials/{example.path['owner_id']}", example.body)
    return Example(shown=made.json()["result"])


def parent_credential(api: Api, at: Place = HERE) -> str:
    body = {"name": "parent", "config": {"type": "token", "secret": "hush"}}
    return parent(api, f"/v1/credentials/{parent_account(api, at)}", body)


def parent_mapping(api: Api, at: Place = HERE) -> str:
    return parent(api, "/v1/mappings", {"name": "parent", "data": "key: id"}, "mapping")


def mapping(api: Api, at: Place) -> Example:
    body = {"name": new_name("mapping"), "fullname": "Example", "data": "severity: $uppercase(priority)\n"}
    bodies = {"apply": {"mappings": [parent_mapping(api)], "data": {"id": 1}}}
    return Example(body, result="mapping", bodies=bodies)


def custom(api: Api, at: Place) -> Example:
    definition = {
        "name": "Help desk",
        "base_url": "https://helpdesk.example/api",
        "auth": {"token": {"scheme": "bearer"}},
        "operations": {"list_tickets": {"path": "/tickets"}},
    }
    body = {"name": new_name("custom"), "fullname": "Example", "data": orjson.dumps(definition).decode()}
    return Example(body, result="custom")


def point_body(name: str, at: Place) -> dict[str, Any]:
    return {"name": name, "connector": at.connector, "environments": {"test": ["*"], "prod": ["*"]}}


def parent_point(api: Api, at: Place = HERE) -> str:
    return parent(api, "/v1/integration-points", point_body(at.account, at))


def integration_point(api: Api, at: Place) -> Example:
    return Example(point_body(new_name("point"), at) | {"fullname": "Example", "description": "Alerts"})


def integration(api: Api, at: Place) -> Example:
    config = dict(at.provider_config)
    references = {"/integration_point_id": parent_point}
    if at.needs_credential:
        config["credential"] = {"type": "token_id", "value": parent_credential(api, at)}
        references["/provider_config/credential/value"] = parent_credential
    body = {
        "name": new_name("integration"),
        "fullname": "Example",
        "provider_config": config,
        "integration_point_id": parent_point(api, at),
    }
    bodies = {"verify": {"integration": body}, "verify_existing": None}
    path = {"account_id": parent_account(api, at)}
    return Example(body, path, "integration", references=references, bodies=bodies, statements=22)


def integration_of_all(api: Api, at: Place) -> Example:
    example = integration(api, at)
    made = api.post(f"/v1/integrations/{example.path['account_id']}", example.body)
    return Example(shown=made.json()["result"]["integration"])


def bridge(api: Api, at: Place) -> Example:
    body = {
        "name": new_name("bridge"),
        "fullname": "Example",
        "description": "The hospital's network.",
        "labels": ["site:north", "lab"],
    }
    return Example(body, {"account_id": parent_account(api, at)}, "bridge", statements=8)


def operation(api: Api, at: Place) -> Example:
    """An operation that has run once. What runs is up to the connector, so it is written as the service writes it."""
    made = integration_of_all(api, at).shown or {}
    schedule = {"operation": "assets_query_devices", "enabled": False, "frequency": {"type": "periodic", "value": "4h"}}
    shared = {"account_id": made["account_id"], "category": made["category"], "operation": schedule["operation"]}
    now = timezone.now()
    with scoped(api.scope):
        row = Operation.in_scope(
            integration_id=made["id"], schedule=schedule, status=OperationStatus.DISABLED, **shared
        )
        row.save(force_insert=True)
        execution = Execution.in_scope(
            id=new_id(),
            operation_id=row.id,
            integration_id=made["id"],
            trigger_type=OperationTriggerType.SCHEDULED,
            trigger_source=made["id"],
            status=OperationStatus.COMPLETE,
            started_at=now,
            completed_at=now,
            **shared,
        )
        execution.save(force_insert=True)
    return Example(shown=reader_of(OperationSerializer).plan.document(row))


def sso(api: Api, at: Place) -> Example:
    config = {
        "type": "oidc",
        "issuer_url": "https://login.example",
        "client_id": "app",
        "client_secret": "hush",
        "provisioning": "create",
        "allowed_domains": ["example.com"],
    }
    name = new_name("sso")
    body = {"name": name, "fullname": f"Sign-on {name}", "config": config}
    return Example(body, unshown={"config": config}, statements=8)


def organization_webhook(api: Api, at: Place) -> Example:
    body = {
        "name": new_name("webhook"),
        "fullname": "Example",
        "environment": at.environment,
        "filters": ["all"],
        "url": "https://hooks.example/in",
        "secret": {"value": "hush"},
    }
    return Example(body, bodies={"recover": {"since": "2026-01-31T12:00:00Z"}}, statements=8)


EXAMPLES: dict[str, Callable[[Api, Place], Example]] = {
    "AccountViewSet": account,
    "BridgeViewSet": bridge,
    "CredentialLookupViewSet": credential_by_id,
    "CredentialViewSet": credential,
    "CustomViewSet": custom,
    "IntegrationPointViewSet": integration_point,
    "IntegrationViewSet": integration,
    "MappingViewSet": mapping,
    "MemberViewSet": member,
    "OperationViewSet": operation,
    "OrganizationIntegrationViewSet": integration_of_all,
    "OrganizationViewSet": organization,
    "OrganizationWebhookViewSet": organization_webhook,
    "RoleViewSet": role,
    "SsoViewSet": sso,
    "SubOrganizationViewSet": sub_organization,
    "TokenViewSet": token,
}
