"""Organization webhooks over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from rest_framework.decorators import action

from accounts.models import Environment
from core.filters import EnumFilter, ResourceFilterSet, TextFilter
from core.listing import refuse_unknown
from core.plan import plan_of
from core.reading import find
from core.scoped_views import ScopedViewSet, enter_for_change
from core.serializers import validated
from core.views import ResourceViewSet
from events.deliveries.serializers import DeliverySerializer
from events.deliveries.services import About, queue_delivery, recover
from events.webhooks.models import DisabledReason, OrganizationWebhook, WebhookFilter
from events.webhooks.serializers import (
    OrganizationWebhookSerializer,
    RecoverRequestSerializer,
    RecoverResultSerializer,
)
from events.webhooks.services import (
    TooManyWebhooksError,
    WebhookDisabledError,
    delete_webhook,
    disable_webhook,
    enable_webhook,
    refuse_disabled,
)


class OrganizationWebhookFilterSet(ResourceFilterSet):
    environment = EnumFilter(Environment)
    url = TextFilter()


class OrganizationWebhookViewSet(ResourceViewSet):
    """Organization webhooks: who is told when accounts and integrations change."""

    resource = "webhooks"
    group = "organization_webhooks"
    serializer_class = OrganizationWebhookSerializer
    filterset_class = OrganizationWebhookFilterSet
    lookup_url_kwarg = "webhook_id"
    totals = False
    raises = {"create": (TooManyWebhooksError,)}
    examples = {
        "create": {
            "name": "changes",
            "environment": "prod",
            "filters": ["account_create", "integration_delete"],
            "url": "https://hooks.acme.example/synqmgr",
            "secret": {"value": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        }
    }

    def perform_destroy(self, instance: OrganizationWebhook) -> None:
        delete_webhook(webhook=instance)


class WebhookControlViewSet(ScopedViewSet):
    """What can be done with an organization webhook."""

    resource = "webhooks"
    verbs = dict.fromkeys(("enable", "disable", "test", "recover"), "update")
    group, noun = "organization_webhooks", "organization webhook"
    lookup_url_kwarg = "webhook_id"
    lookup_value_converter = "str"
    requests = {"recover": RecoverRequestSerializer}
    results = {
        "enable": OrganizationWebhookSerializer,
        "disable": OrganizationWebhookSerializer,
        "test": DeliverySerializer,
        "recover": RecoverResultSerializer,
    }
    raises = {"test": (WebhookDisabledError,), "recover": (WebhookDisabledError,)}

    def locked(self) -> OrganizationWebhook:
        """The webhook of the address, locked for a change."""
        enter_for_change(OrganizationWebhook)
        webhook: OrganizationWebhook = find(OrganizationWebhook, self.kwargs["webhook_id"], lock=True)
        return webhook

    def addressed(self) -> Any:
        return find(OrganizationWebhook, self.kwargs["webhook_id"])

    @action(detail=True, methods=["post"])
    def enable(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Sends to a disabled webhook again, from the next event on. What was missed is sent by `recover`."""
        return self.switched(lambda webhook: enable_webhook(webhook=webhook))

    @action(detail=True, methods=["post"])
    def disable(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Sends nothing to a webhook any more, and cancels what waits."""
        return self.switched(lambda webhook: disable_webhook(webhook=webhook, reason=DisabledReason.REQUESTED))

    def switched(self, switch: Callable[[OrganizationWebhook], None]) -> HttpResponse:
        refuse_unknown(self.request.GET, [])
        with transaction.atomic():
            webhook = self.locked()
            switch(webhook)
            content = {"result": plan_of(OrganizationWebhookSerializer).encode_instance(webhook)}
            self.record(subject=webhook, answer=content)
        return self.json(content)

    @action(detail=True, methods=["post"])
    def test(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Sends a test: an event `all` about no object, which nothing else sends."""
        refuse_unknown(request.GET, [])
        with transaction.atomic():
            webhook = self.locked()
            refuse_disabled(webhook)
            delivery = queue_delivery(webhook_id=webhook.id, payload={"event": WebhookFilter.ALL}, about=About())
            content = {"result": plan_of(DeliverySerializer).encode_instance(delivery)}
            self.record(subject=webhook, answer=content)
        return self.json(content)

    @action(detail=True, methods=["post"])
    def recover(self, request: HttpRequest, **kwargs: str) -> HttpResponse:
        """Sends again what has failed or was cancelled since a time, the oldest first, up to 500 deliveries."""
        refuse_unknown(request.GET, [])
        since = validated(RecoverRequestSerializer(data=self.body())).validated_data["since"]
        with transaction.atomic():
            webhook = self.locked()
            refuse_disabled(webhook)
            recovered, has_more = recover(webhook_id=webhook.id, since=since)
            content = {"result": {"recovered": recovered, "has_more": has_more}}
            self.record(subject=webhook, answer=content)
        return self.json(content)
