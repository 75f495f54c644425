"""Outbound HTTP: every request made for a tenant leaves through `send`."""

from core.outbound.client import Finder, Limits, OutboundAnswer, OutboundRequest, Sender, send
from core.outbound.destination import OutboundRefusedError
from core.outbound.metering import Cost, metered

__all__ = [
    "Cost",
    "Finder",
    "Limits",
    "OutboundAnswer",
    "OutboundRefusedError",
    "OutboundRequest",
    "Sender",
    "metered",
    "send",
]
