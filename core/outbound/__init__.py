"""Outbound HTTP: every request made for a tenant leaves through `send`."""

from core.outbound.client import Limits, OutboundAnswer, OutboundRequest, send
from core.outbound.destination import OutboundRefusedError

__all__ = ["Limits", "OutboundAnswer", "OutboundRefusedError", "OutboundRequest", "send"]
