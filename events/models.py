"""The events app's tables, in reading order."""

from events.audit.models import AuditChain, AuditEvent
from events.deliveries.models import Delivery, DeliveryAttempt
from events.webhooks.models import OrganizationWebhook

__all__ = ["AuditChain", "AuditEvent", "Delivery", "DeliveryAttempt", "OrganizationWebhook"]
