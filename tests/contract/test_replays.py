"""What a key keeps for whoever sends a POST again: the answer, in the transaction of what the request did."""

from __future__ import annotations

import pytest
from django.db import connection

from core.idempotency.services import HEADER, Once
from tests.api import Api
from tests.contract.faces import Face, having
from tests.contract.made import address, example_of


@pytest.mark.parametrize("face", having("create"), ids=str)
def test_create__with_a_key__keeps_its_answer_in_the_transaction_of_the_effect(
    face: Face, acme: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, inside = Once.settle, []
    outside = len(connection.savepoint_ids)  # the test itself is in a transaction

    def watched(once: Once, content: bytes, status: int = 200, etag: str = "") -> None:
        inside.append(len(connection.savepoint_ids) > outside)
        settle(once, content, status, etag)

    monkeypatch.setattr(Once, "settle", watched)
    example = example_of(face, acme)
    url, key = address(face, "create", example), {HEADER: "one"}
    first = acme.post(url, example.body, headers=key)
    assert first.status_code == 200, first.content
    assert inside[0]
    again = acme.post(url, example.body, headers=key)
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")
