"""The audit log through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.common import NotFoundError

from tests.client.published import Published, exercises, new_name


@exercises("GET /v1/audit/organizations")
def test_audit__of_a_change_and_a_refusal__is_the_clients_model(published: Published) -> None:
    account = published.accounts.create(name=new_name("audited")).result.account
    with pytest.raises(NotFoundError):
        published.accounts.delete(new_name("nowhere"))
    made, refused = published.audit.list(
        filter=[f"created_at[gte]{account.created_at.isoformat().replace('+00:00', 'Z')}"], limit=2
    ).result[:2]
    assert (made.audit_type, made.code, made.account_id, made.environment) == ("API", "200", account.id, "prod")
    assert (refused.audit_type, refused.code, refused.method, refused.status) == ("ERROR", "404", "DELETE", "not-found")
    (latest,) = published.audit.list(limit=1, order="created_at[desc]").result
    assert latest.created_at >= refused.created_at
    assert [e.path for e in published.audit.list(start_after=made.created_at.isoformat(), limit=1).result]
