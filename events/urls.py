"""The events app's addresses."""

from core.routing import Routes
from events.audit.views import AuditEventViewSet
from events.deliveries.views import DeliveryViewSet
from events.webhooks.views import OrganizationWebhookViewSet, WebhookControlViewSet

routes: Routes = [
    ("audit/organizations", AuditEventViewSet),
    ("organization/webhooks", OrganizationWebhookViewSet),
    ("organization/webhooks", WebhookControlViewSet),
    ("organization/webhooks/<str:webhook_id>/deliveries", DeliveryViewSet),
]
