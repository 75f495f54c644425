"""What the tests of clients share: the published client at the live server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.published import Published
from tests.server import Server


@pytest.fixture
def published(live_server_process: Server, request: pytest.FixtureRequest) -> Iterator[Published]:
    """The published client as the administrator. Ends by proving that the test called what it says it does."""
    client = Published(live_server_process.url, live_server_process.token)
    yield client
    said = set(getattr(request.function, "exercises", ()))
    assert said <= client.succeeded, f"the test says that it exercises {sorted(said - client.succeeded)}"
