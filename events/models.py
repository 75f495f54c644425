"""The events app's tables, in reading order."""

from events.audit.models import AuditChain, AuditEvent

__all__ = ["AuditChain", "AuditEvent"]
