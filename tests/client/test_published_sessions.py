"""Sessions through the published client."""

# mypy: disable-error-code="import-untyped"
# The published client ships no types.
from __future__ import annotations

import pytest
from synqly.management.auth_base import AuthCode
from synqly.management.common import ForbiddenError, UnauthorizedError
from synqly.management.member_base import MemberOptions

from tests.client.published import Published, exercises, new_name
from tests.server import Server

SECRET, OTHER = "seven horses eat paper", "eight mules drink ink"


@exercises("POST /v1/auth/change_password", "POST /v1/auth/logoff")
def test_session__from_logon_to_logoff__is_the_clients_model(published: Published, live_server_process: Server) -> None:
    name, organization_id = f"{new_name('ada')}@example.com", live_server_process.organization_id
    options = MemberOptions(options=["expired"])
    published.members.create(name=name, secret=SECRET, role_binding=["viewer"], options=options)
    nobody = published.as_("nobody")
    with pytest.raises(UnauthorizedError):
        nobody.auth.logon(organization_id, name=name, secret=OTHER)
    logged_on = nobody.auth.logon(organization_id, name=name, secret=SECRET).result
    assert (logged_on.auth_code, logged_on.member.name) == (AuthCode.EXPIRED, name)
    assert logged_on.organization.id == organization_id
    session = published.as_(logged_on.token.access.secret)
    with pytest.raises(ForbiddenError):
        session.accounts.list()
    changed = session.auth.change_password(old_secret=SECRET, new_secret=OTHER).result
    assert changed.auth_code == AuthCode.SUCCESS
    assert session.accounts.list(limit=1).result is not None
    session.auth.logoff()
    with pytest.raises(UnauthorizedError):
        session.accounts.list()
    published.exchanges += session.exchanges
