"""Integrations with custom providers, ready to be called."""

from __future__ import annotations

from catalog.customs.calls import Connection
from core.errors import InvalidError
from core.outbound import Sender
from integrations.configs import unmask_config
from integrations.drafts import draft_integration
from integrations.models import Integration
from integrations.services import open_values


def connect_custom(*, integration: Integration, send: Sender | None = None) -> Connection:
    """An integration's custom provider as `catalog.customs.calls.call_operation` takes it.

    Everything is checked anew: the account's credentials must still be there, and the point must still allow it. `send`
    is the way out, such as a bridge.
    """
    draft = draft_integration(
        account=integration.account,
        config=integration.provider_config,
        point=integration.integration_point,
        integration=integration,
    ).through(integration.bridge_selector)
    if draft.custom is None:
        raise InvalidError(f"the integration {integration.name!r} is not one with a custom provider")
    return Connection(
        definition=draft.custom.definition,
        config=unmask_config(draft.provider, draft.config, open_values(integration=integration)),
        secrets=draft.opened(),
        subject=integration.id,
        send=send or draft.sender(),
    )
