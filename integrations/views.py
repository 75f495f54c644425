"""Integrations over HTTP."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from accounts.models import Account, Environment
from accounts.serializers import AccountSerializer
from catalog.registry import list_connectors
from core.errors import ForbiddenError, ProblemError
from core.filters import EnumFilter, IdFilter, NameFilter, ResourceFilterSet, TextFilter
from core.listing import refuse_unknown
from core.models import Resource
from core.problems import build_problem
from core.reading import find, reader_of
from core.serializers import in_mode, over, validated
from core.tenancy import current_scope
from core.views import ResourceViewSet, ScopedViewSet
from credentials.serializers import CredentialSerializer
from identity.tokens.models import Surface, TokenOwnerType
from identity.tokens.serializers import TokenSerializer
from identity.tokens.services import IssuedToken, TokenSpec, issue_token, token_of
from identity.tokens.views import shown_once
from integrations.answers import (
    CreateIntegrationResponseSerializer,
    PatchIntegrationResponseSerializer,
    UpdateIntegrationResponseSerializer,
    VerifyIntegrationResponseSerializer,
)
from integrations.drafts import Draft, draft_integration, verify_draft
from integrations.models import Integration
from integrations.points.serializers import IntegrationPointSerializer
from integrations.serializers import (
    CreateIntegrationTokenRequestSerializer,
    IntegrationSerializer,
    VerifyIntegrationRequestSerializer,
)
from integrations.services import Outcome, delete_integration, doubt_name, open_values, verify_integration

TOKEN_TTL = "10m"  # noqa: S105 - a duration


class IntegrationFilterSet(ResourceFilterSet):
    account_id = IdFilter()
    account__name = NameFilter(field_name="account__name")
    account__fullname = TextFilter(field_name="account__fullname")
    account__environment = EnumFilter(Environment, field_name="account__environment")
    integration_point_id = IdFilter()
    integration_point__name = NameFilter(field_name="integration_point__name")
    category = EnumFilter([connector.id for connector in list_connectors()])
    provider_type = TextFilter()


class OrganizationIntegrationViewSet(ResourceViewSet):
    """The integrations of all accounts."""

    resource = "integrations"
    serializer_class = IntegrationSerializer
    filterset_class = IntegrationFilterSet
    orders = {
        **ResourceViewSet.orders,
        "category": "category",
        "provider_type": "provider_type",
        "account.name": "account__name",
    }
    expands = {
        "account": ("account",),
        "accounts": ("account",),
        "integration_point": ("integration_point",),
        "integration_points": ("integration_point",),
        "all": ("account", "integration_point"),
    }
    expansions = {"account": AccountSerializer, "integration_point": IntegrationPointSerializer}
    actions: ClassVar[tuple[str, ...]] = ("list",)
    noun = "integration"
    unique_names = False


class IntegrationViewSet(OrganizationIntegrationViewSet):
    """Integrations: an account's connections to providers."""

    actions = ("list", "create", "retrieve", "update", "partial_update", "destroy")
    verbs = {"verify": "verify", "verify_existing": "verify"}
    operations = {"list": "list_account"}
    requests = {
        "verify": VerifyIntegrationRequestSerializer,
        "verify_existing": in_mode(IntegrationSerializer, "update"),
    }
    optional_bodies = ("verify_existing",)
    responses = {
        "create": CreateIntegrationResponseSerializer,
        "update": UpdateIntegrationResponseSerializer,
        "partial_update": PatchIntegrationResponseSerializer,
        "verify": VerifyIntegrationResponseSerializer,
        "verify_existing": VerifyIntegrationResponseSerializer,
    }
    lookup_url_kwarg = "integration_id"
    unique_names = True

    @property
    def verb(self) -> str:
        return "list_account" if self.action == "list" else super().verb

    def fixed(self) -> dict[str, Any]:
        return {"account_id": self.account.id}

    @property
    def account(self) -> Account:
        if not hasattr(self, "_account"):
            self._account: Account = find(Account, self.kwargs["account_id"])
        return self._account

    def context(self) -> dict[str, Any]:
        return {**super().context(), "account": self.account}

    def perform_create(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        serializer.save()
        self.outcome: Outcome = serializer.outcome
        result: dict[str, Any] = {"integration": self.shown(), "credentials_created": self.credentials_created()}
        if self.outcome.token is not None:
            result["token"] = shown_once(self.outcome.token)["primary"]
        return self.outcome.integration, {"result": result}

    def perform_update(self, serializer: Any) -> tuple[Resource, dict[str, Any]]:
        serializer.save()
        self.outcome = serializer.outcome
        return self.outcome.integration, {"result": self.shown(), "credentials_created": self.credentials_created()}

    def perform_destroy(self, instance: Integration) -> None:
        delete_integration(integration=instance)

    def conclude(self, content: dict[str, Any]) -> None:
        """Asks the provider, once the change is durable; the doubts go into the answer."""
        problems = list(self.outcome.notes)
        if self.outcome.is_new_config:
            problems += verify_integration(integration=self.outcome.integration, draft=self.outcome.draft)
        content.update(self.messages(problems))

    def shown(self) -> dict[str, Any]:
        """The integration, with the webhook keys that were made for it."""
        shown = self.reader.plan.document(self.outcome.integration)
        for item in (shown.get("webhook_config") or {}).get("items", []):
            item["integrator_key"] = self.outcome.webhook_keys.get(item["webhook_url"], item["integrator_key"])
        return shown

    def credentials_created(self) -> list[dict[str, Any]]:
        plan = reader_of(CredentialSerializer).plan
        return [plan.encode_instance(credential) for credential in self.outcome.credentials]

    def messages(self, problems: list[ProblemError]) -> dict[str, Any]:
        """The `messages` of an answer; none when there are no doubts."""
        request_id = self.request.request_id  # type: ignore[attr-defined]
        shown = [build_problem(problem, request_id) for problem in problems]
        return {"messages": {"problems": shown}} if shown else {}

    @action(detail=False, methods=["post"])
    def verify(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Checks an integration without making it: its configuration, then whether the provider accepts it.

        An answer without `messages` means that the provider was asked and accepted. A check that cannot be made
        says so in `messages.problems`.
        """
        refuse_unknown(request.GET, [])
        context = {**self.context(), "prefix": "/integration"}
        serializer = validated(VerifyIntegrationRequestSerializer(data=self.body(), context=context))
        draft, name = serializer.fields["integration"].draft, serializer.validated_data["integration"].get("name")
        return self.verified(draft, name)

    @action(detail=True, methods=["post"], url_path="verify")
    def verify_existing(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Checks an integration as it is or, with a body, as it would be after an update with that body.

        Only the former is counted in its status.
        """
        refuse_unknown(request.GET, [])
        integration = find(Integration, self.identifier(), self.fixed())
        if self.has_body():
            update = in_mode(IntegrationSerializer, "update")
            serializer = validated(over(self.body(), update, self.context(), integration))
            return self.verified(serializer.draft, serializer.validated_data["name"], integration)
        point = integration.integration_point
        draft = draft_integration(
            account=self.account, config=integration.provider_config, point=point, integration=integration
        ).through(integration.bridge_selector)
        self.record(subject=integration)
        return self.json(self.messages(verify_integration(integration=integration, draft=draft)))

    def verified(self, draft: Draft, name: str | None, integration: Integration | None = None) -> HttpResponse:
        """What speaks against a draft that is not stored."""
        if not current_scope().reaches_category(draft.provider.connector_id):
            raise ForbiddenError(f"the token is not good for the category {draft.provider.connector_id!r}")
        self.record(subject=integration or self.above())
        doubts = doubt_name(name=name, draft=draft, integration=integration)
        values = open_values(integration=integration) if integration else {}
        return self.json(self.messages(doubts + verify_draft(draft=draft, values=values)))


class IntegrationTokenViewSet(ScopedViewSet):
    """Tokens for the connector API of one integration."""

    resource = "tokens"
    actions = ("create",)
    verbs = {"create": "create_integration"}
    operations = {"create": "create_integration_token"}
    requests = {"create": CreateIntegrationTokenRequestSerializer}
    optional_bodies = ("create",)
    results = {"create": TokenSerializer}

    def create(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Creates a short-lived token for one integration. It opens the connector API only."""
        refuse_unknown(request.GET, [])
        account = find(Account, self.kwargs["account_id"])
        data = self.body() if self.has_body() else {}
        asked = validated(CreateIntegrationTokenRequestSerializer(data=data)).validated_data
        with transaction.atomic():
            fixed = {"account_id": account.id}
            integration = find(Integration, self.kwargs["integration_id"], fixed, lock=True)
            issued = self.issue(integration, asked)
            content = {"result": shown_once(issued)["primary"]["access"]}
            self.record(subject=issued.token, answer=content)
        return self.json(content)

    def addressed(self) -> Any:
        account = find(Account, self.kwargs["account_id"])
        return find(Integration, self.kwargs["integration_id"], {"account_id": account.id})

    def issue(self, integration: Integration, asked: dict[str, Any]) -> IssuedToken:
        spec = TokenSpec(
            permission_set=None,
            ttl=asked.get("token_ttl") or TOKEN_TTL,
            name=asked.get("name"),
            networks=asked.get("allowed_networks"),
            owner_type=TokenOwnerType.INTEGRATION,
            owner_id=integration.id,
            account_id=integration.account_id,
            surface=Surface.CONNECTORS,
        )
        with transaction.atomic():
            return issue_token(spec=spec, parent=token_of(principal=self.principal))
