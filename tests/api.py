"""A caller of the API: one token of one organization, over Django's test client."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson
from django.test import Client
from django.test.client import ClientHandler

import identity.services
from core.tenancy import Scope, scoped
from identity.permissionsets.sets import Permissions
from identity.tokens.models import Surface
from identity.tokens.services import TokenSpec, issue_token
from organizations.models import OrganizationType
from organizations.services import create_organization

JSON, JSON_PATCH = "application/json", "application/json-patch+json"
Query = Mapping[str, Any] | Iterable[tuple[str, Any]]


_HANDLER = ClientHandler(
    enforce_csrf_checks=False
)  # one for all: each would load every middleware and static file anew


def http_client(**options: Any) -> Client:
    """Django's test client."""
    client = Client(**options)
    client.handler = _HANDLER
    return client


@dataclasses.dataclass(frozen=True)
class Api:
    """Sends requests as one principal: `acme.post("/v1/accounts", {"name": "north"}).json()`.

    A body is encoded as JSON unless it is bytes, which go as they are. An answer of 500 is a bug
    wherever it comes up, so it fails the test at once.
    """

    id: str  # of the organization; empty for nobody
    token: str | None = None
    token_id: str = ""

    @property
    def scope(self) -> Scope:
        return Scope(self.id)

    def issue(
        self,
        permission_set: str = Permissions.ADMINISTRATOR,
        *,
        resources: dict[str, Any] | None = None,
        ttl: str = "24h",
        surface: Surface = Surface.MANAGEMENT,
    ) -> Api:
        """Another principal of the same organization."""
        spec = TokenSpec(permission_set=permission_set, resources=resources or {}, ttl=ttl, surface=surface)
        with scoped(self.scope):
            issued = issue_token(spec=spec)
        return Api(self.id, issued.secrets["access"], issued.token.id)

    def log_on(self, name: str, secret: str, **body: Any) -> Api:
        """A member's own session."""
        answer = Api(self.id).post(f"/v1/auth/logon/{self.id}", {"name": name, "secret": secret, **body})
        assert answer.status_code == 200, answer.content
        result = answer.json()["result"]
        return Api(self.id, result["token"]["access"]["secret"], result["refresh_token_id"])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Query = (),
        headers: Mapping[str, str] | None = None,
        content_type: str = JSON,
    ) -> Any:
        """One request; the answer has `.status_code`, `.headers`, `.content` and `.json()`."""
        if pairs := urlencode(query if isinstance(query, Mapping) else list(query), doseq=True):
            path = f"{path}?{pairs}"
        sent = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        content = b"" if body is None else body if isinstance(body, bytes) else orjson.dumps(body)
        answer = http_client(headers=sent | dict(headers or {})).generic(
            method, path, content, content_type=content_type if content else ""
        )
        assert answer.status_code != 500, f"{method} {path} failed: {answer.content.decode()}"
        return answer

    def get(self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("GET", path, query=query, headers=headers)

    def head(self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("HEAD", path, query=query, headers=headers)

    def post(self, path: str, body: Any = None, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("POST", path, body, query=query, headers=headers)

    def put(self, path: str, body: Any = None, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("PUT", path, body, query=query, headers=headers)

    def patch(self, path: str, body: Any = None, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("PATCH", path, body, query=query, headers=headers, content_type=JSON_PATCH)

    def delete(self, path: str, *, query: Query = (), headers: Mapping[str, str] | None = None) -> Any:
        return self.request("DELETE", path, query=query, headers=headers)


def open_organization(name: str, organization_type: OrganizationType = OrganizationType.ROOT) -> Api:
    """A new organization and its administrator, as `manage.py bootstrap` makes them."""
    organization = create_organization(name=name, fullname=name.title(), organization_type=organization_type)
    opened = identity.services.open_organization(of=organization)
    return Api(organization.id, opened.issued.secrets["access"], opened.issued.token.id)
