"""The matrix as it is: every operation asked by every principal about every kind of object."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import transaction

from core.tenancy import scoped
from identity.permissionsets.sets import Permissions
from identity.tokens.models import Surface, TokenSecret
from tests.access import policy
from tests.api import JSON, JSON_PATCH, Api
from tests.contract.examples import ELSEWHERE, HERE, Example, Place, parent_account
from tests.contract.faces import Face, Operation, faces, operations
from tests.contract.made import Made, absent_id, make
from tests.objects import make_token

OUTCOMES = {
    400: policy.INVALID,
    409: policy.CONFLICT,
    401: policy.UNAUTHENTICATED,
    403: policy.FORBIDDEN,
    404: policy.ABSENT,
}
NO_FACE_OF_ITS_OWN = {  # acts on objects of another resource
    "DeliveryViewSet": "OrganizationWebhookViewSet",
    "ExecutionViewSet": "OperationViewSet",
    "IntegrationTokenViewSet": "IntegrationViewSet",
    "OneBillingViewSet": "SubOrganizationViewSet",
    "OneStatusViewSet": "IntegrationViewSet",
    "StatusEventViewSet": "IntegrationViewSet",
    "StatusViewSet": "IntegrationViewSet",
    "McpTokenViewSet": "TokenViewSet",
    "TokenRefreshViewSet": "TokenViewSet",
    "TokenRenewalViewSet": "TokenViewSet",
    "WebhookControlViewSet": "OrganizationWebhookViewSet",
}
SHARED_BY_ALL = {"provider_id": "notifications_slack", "permissionset_id": "viewer", "month": "partial"}
SECRET = "seven horses eat paper"
BODIES = {
    "change_password": {"old_secret": SECRET, "new_secret": "eight mules drink ink"},
    "enrol_second_factor": {"secret": SECRET},
    "confirm_second_factor": {"code": "000000"},
    "remove_second_factor": {"code": "000000"},
}
PLACES = {policy.INSIDE: HERE, policy.OUTSIDE: ELSEWHERE, policy.FOREIGN: HERE, policy.MISSING: HERE}


def principals(acme: Api, globex: Api) -> dict[str, Api]:
    """The principals of the policy, by name."""
    account_id = parent_account(acme)

    def narrowed(**resources: Any) -> Api:
        return acme.issue(resources=resources)

    cast: dict[str, Api] = {name: acme.issue(name) for name in Permissions if name in policy.GRANTS}
    cast |= {
        "narrowed to an account": narrowed(accounts={"ids": [account_id]}),
        "narrowed to a label": narrowed(accounts={"ids": ["*"], "labels": [HERE.label]}),
        "narrowed to an environment": narrowed(accounts={"ids": ["*"], "environments": [HERE.environment]}),
        "narrowed to a category": narrowed(integrations={"categories": [HERE.connector]}),
        "token of an integration": acme.issue(surface=Surface.CONNECTORS),
        "token of an MCP client": acme.issue(surface=Surface.MCP),
        "session of a member": member_of(acme),
        "sub-organization": below(acme),
        "neighbour": globex.issue(),
        policy.REFRESH_SECRET: Api(acme.id, refresh_secret_of(make_token(acme)[0])),
        "expired": expired(acme),
        "nobody": Api(""),
    }
    return {name: cast[name] for name in policy.PRINCIPALS}


def member_of(api: Api) -> Api:
    """Somebody who has logged on with a password, of the role that everybody has, and has enrolled a second factor."""
    body = {"name": "session", "type": "service", "secret": SECRET}
    assert api.post("/v1/members", body).status_code == 200
    session = api.log_on("session", SECRET)
    return session


def below(api: Api) -> Api:
    """The administrator of an organization that this one has made."""
    answer = api.post("/v1/suborgs", {"name": "matrix-below"})
    assert answer.status_code == 200, answer.content
    result = answer.json()["result"]
    return Api(result["organization"]["id"], result["token"]["access"]["secret"])


def expired(api: Api) -> Api:
    """An administrator whose token has run out."""
    principal = api.issue()
    just_now = dt.datetime.now(dt.UTC) - dt.timedelta(microseconds=1)
    with scoped(api.scope):
        assert TokenSecret.objects.filter(token_id=principal.token_id).update(expires=just_now) == 2
    return principal


@dataclasses.dataclass(frozen=True)
class Subject:
    """What an operation is asked about: the values of its address, its body, and the object's id."""

    values: dict[str, str]
    body: Any
    id: str
    refresh_secret: str = ""  # of a token


def refresh_secret_of(shown: dict[str, Any]) -> str:
    """The refresh secret of a token that was just made."""
    return str(shown["primary"]["refresh"]["secret"])


def as_holder(principal: Api, subject: Subject) -> Api:
    """The principal with the refresh secret of a token, if it is one that is acted on."""
    return dataclasses.replace(principal, token=subject.refresh_secret) if subject.refresh_secret else principal


def undone(request: Callable[[], Any]) -> Any:
    """The answer to a request whose effects are taken back."""
    with transaction.atomic():
        answer = request()
        transaction.set_rollback(True)
    return answer


def face_of(operation: Operation) -> Face | None:
    """The resource whose objects an operation is about."""
    name = NO_FACE_OF_ITS_OWN.get(operation.viewset.__name__, operation.viewset.__name__)
    return next((face for face in faces() if face.name == name), None)


def object_at(face: Face, api: Api, at: Place) -> Made:
    """The object of a place. The account of a place is the one that the others belong to."""
    if face.name != "AccountViewSet":
        return make(face, api, at)
    shown = api.get(f"/v1/accounts/{parent_account(api, at)}").json()["result"]
    example = make(face, api, at).example
    return Made(face, Example(example.body, result=example.result), shown)


def delivery_of(webhook: Made, api: Api, at: Place) -> str:
    """The id of a delivery to a webhook, about an integration of a place."""
    integration = next(face for face in faces() if face.name == "IntegrationViewSet")
    made = make(integration, api, at)
    about = {"filter": f"integration_id[eq]{made.id}"}
    shown = api.get(f"/v1/organization/webhooks/{webhook.id}/deliveries", query=about).json()["result"]
    return str(shown[0]["id"])


def subjects(operation: Operation, acme: Api, globex: Api) -> dict[str, Subject]:
    """What an operation is asked about, by kind of object."""
    face = face_of(operation)
    if face is None:
        values = {name: SHARED_BY_ALL[name] for name in operation.parameters}
        return {policy.INSIDE: Subject(values, BODIES.get(operation.action), "")}
    result = {}
    for kind, at in PLACES.items():
        api = globex if kind == policy.FOREIGN else acme
        made = object_at(face, api, at)
        below = {"delivery_id": delivery_of(made, api, at)} if operation.viewset.__name__ == "DeliveryViewSet" else {}
        values = made.values(operation, also={**SHARED_BY_ALL, **below})
        values = {name: values[name] for name in operation.parameters}
        body = body_of(operation, made, api)
        if kind == policy.MISSING:
            values = {name: absent_id() for name in values}
        secret = refresh_secret_of(made.shown) if face.name == "TokenViewSet" else ""
        result[kind] = Subject(values, body, below.get("delivery_id", made.id), secret)
    return result


def body_of(operation: Operation, made: Made, api: Api) -> Any:
    """A body that the operation takes."""
    if operation.action == "create" and operation.viewset.__name__ not in NO_FACE_OF_ITS_OWN:
        body = dict(made.example.body)
        body |= {name: f"{body[name]}-again" for name in ("name", "fullname") if name in body}
        body.get("resources", {}).pop("organizations", None)
        return body
    if operation.action == "update" and operation.viewset.__name__ not in NO_FACE_OF_ITS_OWN:
        return made.whole(api)
    if operation.action == "partial_update":
        return []
    return made.example.bodies.get(operation.action)


def ask(principal: Api, operation: Operation, subject: Subject, identifiers: dict[str, str] | None = None) -> Any:
    """One request of the matrix, without lasting effect."""
    media_type = JSON_PATCH if operation.action == "partial_update" else JSON
    url = operation.url(identifiers or subject.values)
    query = {"limit": "1000"} if policy.RULES[str(operation)].kind == "list" else {}
    return undone(lambda: principal.request(operation.method, url, subject.body, query=query, content_type=media_type))


def outcome(answer: Any, operation: Operation, subject: Subject) -> str:
    """What an answer amounts to."""
    if answer.status_code >= 300:
        return OUTCOMES.get(answer.status_code, f"{answer.status_code} {answer.content.decode()}")
    if policy.RULES[str(operation)].kind != "list":
        return policy.DONE
    names = ("id", "integration_id") if operation.viewset.__name__ != "ExecutionViewSet" else ("operation_id",)
    listed = [next(row[name] for name in names if name in row) for row in answer.json()["result"]]
    return policy.SHOWN if subject.id in listed else policy.HIDDEN


def rendered() -> str:
    """The policy as text, one line for each operation and principal."""
    lines = ["Who may do what. Written by `python -m tests.access.write` from tests/access/policy.py."]
    lines += ["Objects: " + ", ".join(policy.OBJECTS) + ", as that file describes them.", ""]
    width = max(map(len, policy.PRINCIPALS))
    for operation in sorted(operations(), key=lambda o: (o.shown_route, o.method)):
        rule = policy.RULES[str(operation)]
        lines.append(f"{operation}  ({rule.verb} on {rule.resource})")
        for principal in policy.PRINCIPALS:
            cells = [policy.expected(principal, str(operation), subject) for subject in policy.OBJECTS]
            shown = [f"{s} {c}" for s, c in zip(policy.OBJECTS, cells, strict=True) if c != policy.NOTHING]
            lines.append(f"    {principal:{width}}  {', '.join(shown)}")
        lines.append("")
    return "\n".join(lines)
