"""Organization webhooks through the published client, from create to delete."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import BadRequestError, ConflictError, NotFoundError
from synqly.management.organization_webhook_base import WebhookFilter
from synqly.management.organization_webhooks import OrganizationWebhookSecret

from tests.client.published import Published, exercises, members, new_name, words

SECRET = OrganizationWebhookSecret(value="seven horses eat paper")


@exercises(
    "GET /v1/organization/webhooks",
    "POST /v1/organization/webhooks",
    "GET /v1/organization/webhooks/{webhook_id}",
    "PUT /v1/organization/webhooks/{webhook_id}",
    "PATCH /v1/organization/webhooks/{webhook_id}",
    "DELETE /v1/organization/webhooks/{webhook_id}",
)
def test_webhook__from_create_to_delete__is_the_clients_model(published: Published) -> None:
    name = new_name("hook")
    made = published.organization_webhooks.create(
        name=name, environment="test", filters=words(WebhookFilter), url="https://hooks.example/in", secret=SECRET
    ).result
    assert (made.name, made.filters) == (name, words(WebhookFilter))
    assert published.organization_webhooks.get(made.id).result == made
    assert made in published.organization_webhooks.list(filter=f"name[eq]{name}").result
    with pytest.raises(ConflictError):
        published.organization_webhooks.create(
            name=name, filters=["all"], url="https://hooks.example/in", secret=SECRET
        )
    with pytest.raises(BadRequestError):
        published.organization_webhooks.create(filters=["all"], url="http://127.0.0.2.example/in#x", secret=SECRET)

    changed = published.organization_webhooks.update(
        made.id, **members(made) | {"filters": [WebhookFilter.ACCOUNT_CREATE], "url": "https://hooks.example/other"}
    ).result
    assert (changed.filters, changed.url, changed.credential_id) == (
        [WebhookFilter.ACCOUNT_CREATE], "https://hooks.example/other", made.credential_id
    )  # fmt: skip
    operations = [{"op": "replace", "path": "/fullname", "value": "Renamed"}]
    assert published.organization_webhooks.patch(made.id, request=operations).result.fullname == "Renamed"

    published.organization_webhooks.delete(name)
    with pytest.raises(NotFoundError):
        published.organization_webhooks.get(made.id)
    assert all("seven horses" not in each.answer.text for each in published.exchanges)
