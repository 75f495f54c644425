"""Signatures, by the library of Standard Webhooks and by the example in the docs."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.conf import settings
from standardwebhooks import Webhook

from core.columns import new_id
from events.webhooks.signatures import decoded_key, signature_headers
from tests.events.receiver import SECRET

PLAIN = "correct horse"
BODY = b'{"event":"all","nonce":"x"}'


def signed(*secrets: str, ago: int = 0) -> dict[str, str]:
    now = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago)
    headers = signature_headers(message_id=new_id(), at=now, body=BODY, secrets=secrets)
    return {name.lower(): value for name, value in headers.items()}


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """What the example in the docs defines."""
    (source,) = re.findall(r"```python\n(.*?)```", (settings.BASE_DIR / "docs" / "webhooks.md").read_text(), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(source, defined)
    return defined


def test_signature__made_here__is_the_libraries_own() -> None:
    headers = signed(SECRET)
    at = dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC)
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], at, BODY.decode())


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
def test_example__of_the_docs__takes_what_is_signed_and_nothing_else(example: dict[str, Any], secret: str) -> None:
    verify, verify_body, headers = example["verify"], example["verify_body"], signed(secret)
    assert verify(secret, headers, BODY)
    assert verify_body(secret, headers, BODY)
    for wrong in (("other", headers, BODY), (secret, headers, BODY + b" "), (secret, {**headers, **signed("x")}, BODY)):
        assert not verify(*wrong)
        assert not verify_body(*wrong)
    assert not verify(secret, {**headers, "webhook-id": new_id()}, BODY)
    assert not verify(secret, signed(secret, ago=301), BODY)


def test_example__of_the_docs__takes_either_secret_during_a_change(example: dict[str, Any]) -> None:
    headers = signed(SECRET, PLAIN)
    assert example["verify"](SECRET, headers, BODY)
    assert example["verify"](PLAIN, headers, BODY)
    assert example["verify_body"](SECRET, headers, BODY)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_c2hvcnQ=", "whsec_***", "whsec_" + "A" * 100, PLAIN])
def test_key__not_written_as_standard_webhooks_does__is_none(secret: str) -> None:
    assert decoded_key(secret) is None
