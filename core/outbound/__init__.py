"""Outbound HTTP: every request made for a tenant leaves through `send`."""

from core.outbound.client import Limits, OutboundAnswer, OutboundRequest, send
from core.outbound.destination import OutboundRefusedError
from core.outbound.metering import Cost, metered

__all__ = ["Cost", "Limits", "OutboundAnswer", "OutboundRefusedError", "OutboundRequest", "metered", "send"]
