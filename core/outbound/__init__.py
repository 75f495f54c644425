"""Outbound HTTP: every request made for a tenant leaves through `send`."""

from core.outbound.client import Finder, Limits, OutboundAnswer, OutboundRequest, Sender, send
from core.outbound.destination import OutboundRefusedError

__all__ = ["Finder", "Limits", "OutboundAnswer", "OutboundRefusedError", "OutboundRequest", "Sender", "send"]
