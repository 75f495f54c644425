# mypy: disable-error-code="import-untyped"
# The published client ships no types.
"""Integrations with a provider that really answers: what is asked of it, with which credential, and what is said."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from synqly.management.common import BadRequestError
from synqly.management.credentials import CredentialConfig_Basic

from tests.catalog.provider_server import Answer, Asked, ProviderServer, serve
from tests.client.published import Published, members, new_name

RIGHT, WRONG = ("ann", "right"), ("ann", "wrong")


def authorization(user: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(user).encode()).decode()


def answer(asked: Asked) -> Answer:
    """A Jira that knows one user."""
    known = asked.headers.get("Authorization") == authorization(RIGHT)
    return (200, {"self": "ann"}) if known else (401, {"errorMessages": ["no such user"]})


@pytest.fixture
def jira() -> Iterator[ProviderServer]:
    with serve(answer) as server:
        yield server


@dataclasses.dataclass(frozen=True)
class Customer:
    """An account and what is done for it."""

    published: Published
    account: Any

    def store(self, user: tuple[str, str], **given: Any) -> Any:
        config = CredentialConfig_Basic(username=user[0], secret=user[1])
        return self.published.credentials.create(self.account.id, config=config, **given).result

    def connect(self, url: str, credential: Any) -> Any:
        return self.published.integrations.create(self.account.id, provider_config=configured(url, credential))

    def verify(self, url: str, credential: Any) -> Any:
        integration = {"provider_config": configured(url, credential)}
        return self.published.integrations.verify(self.account.id, integration=integration)

    def verify_existing(self, integration: Any, **given: Any) -> Any:
        return self.published.integrations.verify_existing(self.account.id, integration.id, **given)


def configured(url: str, credential: Any) -> dict[str, Any]:
    return {"type": "ticketing_jira", "url": url, "credential": credential}


def inline(user: tuple[str, str]) -> dict[str, str]:
    return {"type": "basic", "username": user[0], "secret": user[1]}


def reference(credential: Any) -> dict[str, str]:
    return {"type": "basic_id", "value": credential.id}


def doubts(given: Any) -> list[str]:
    """The kinds of problems that an answer with messages holds."""
    return [problem.type.removeprefix("/problems/") for problem in given.messages.problems] if given.messages else []


def refused_as(call: Callable[[], Any]) -> str:
    """The kind of problem that a call is refused with."""
    with pytest.raises(BadRequestError) as refused:
        call()
    return str(refused.value.body.type).removeprefix("/problems/")


@pytest.fixture
def customer(published: Published) -> Customer:
    return Customer(published, published.accounts.create(name=new_name("north")).result.account)


def test_create__credential_accepted__says_nothing(customer: Customer, jira: ProviderServer) -> None:
    for credential in (inline(RIGHT), reference(customer.store(RIGHT))):
        made = customer.connect(jira.url, credential)
        assert made.messages is None
        assert "messages" not in customer.published.last.body
    assert [(asked.method, asked.target) for asked in jira.asked] == [("GET", "/rest/api/2/myself")] * 2
    assert {asked.headers["Authorization"] for asked in jira.asked} == {authorization(RIGHT)}


def test_create__credential_rejected__succeeds_with_the_doubt(customer: Customer, jira: ProviderServer) -> None:
    for credential in (inline(WRONG), reference(customer.store(WRONG))):
        made = customer.connect(jira.url, credential)
        assert doubts(made) == ["credential-rejected"]
        assert made.messages.problems[0].status == 502
        shown = customer.published.integrations.get(customer.account.id, made.result.integration.id).result
        assert shown == made.result.integration
    assert all(WRONG[1] not in each.answer.text for each in customer.published.exchanges)


def test_verify__accepted_and_rejected__says_which_and_makes_nothing(customer: Customer, jira: ProviderServer) -> None:
    assert doubts(customer.verify(jira.url, inline(RIGHT))) == []
    assert doubts(customer.verify(jira.url, inline(WRONG))) == ["credential-rejected"]
    assert doubts(customer.verify(jira.url, reference(customer.store(RIGHT)))) == []
    assert len(jira.asked) == 3
    assert customer.published.integrations.list_account(customer.account.id).result == []


def test_verify_existing__stored_credential_changed_by_patch__is_used(customer: Customer, jira: ProviderServer) -> None:
    stored = customer.store(WRONG)
    made = customer.connect(jira.url, reference(stored)).result.integration
    assert doubts(customer.verify_existing(made)) == ["credential-rejected"]
    request = [{"op": "replace", "path": "/config/secret", "value": RIGHT[1]}]
    customer.published.credentials.patch(customer.account.id, stored.id, request=request)
    assert doubts(customer.verify_existing(made)) == []
    assert jira.asked[-1].headers["Authorization"] == authorization(RIGHT)


def test_verify_existing__with_a_body__checks_that_and_keeps_the_integration(
    customer: Customer, jira: ProviderServer
) -> None:
    made = customer.connect(jira.url, inline(RIGHT)).result.integration
    whole = members(made)
    changed = whole | {"provider_config": configured(jira.url, inline(WRONG))}
    assert doubts(customer.verify_existing(made, request=changed)) == ["credential-rejected"]
    assert doubts(customer.verify_existing(made, request=whole)) == []
    assert doubts(customer.verify_existing(made)) == []
    assert customer.published.integrations.get(customer.account.id, made.id).result == made


def test_update__new_inline_credential__is_checked_and_replaces_the_managed_one(
    customer: Customer, jira: ProviderServer
) -> None:
    first = customer.connect(jira.url, inline(WRONG))
    made = first.result.integration
    whole = members(made) | {"provider_config": configured(jira.url, inline(RIGHT))}
    updated = customer.published.integrations.update(customer.account.id, made.id, **whole)
    assert doubts(updated) == []
    [created] = updated.credentials_created
    assert updated.result.provider_config.credential.value == created.id
    assert customer.published.credentials.list(made.id).result == [created]


def test_update__nothing_new_in_the_configuration__does_not_ask(customer: Customer, jira: ProviderServer) -> None:
    made = customer.connect(jira.url, inline(RIGHT)).result.integration
    whole = members(made) | {"fullname": "Renamed"}
    assert doubts(customer.published.integrations.update(customer.account.id, made.id, **whole)) == []
    assert len(jira.asked) == 1


def test_expired_credential__used__is_refused_and_nobody_is_asked(customer: Customer, jira: ProviderServer) -> None:
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
    stored = customer.store(RIGHT, expires=soon)
    made = customer.connect(jira.url, reference(stored))
    assert doubts(made) == []
    time.sleep(max(0.0, (soon - dt.datetime.now(dt.UTC)).total_seconds()) + 0.05)
    assert refused_as(lambda: customer.connect(jira.url, reference(stored))) == "credential-expired"
    assert refused_as(lambda: customer.verify(jira.url, reference(stored))) == "credential-expired"
    assert doubts(customer.verify_existing(made.result.integration)) == ["credential-expired"]
    assert len(jira.asked) == 1


@contextlib.contextmanager
def redirecting_to(url: str) -> Iterator[str]:
    """A provider that sends everyone elsewhere, and remembers nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", url + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def test_provider__redirects__gets_no_credential_where_it_points(customer: Customer, jira: ProviderServer) -> None:
    with redirecting_to(jira.url) as url:
        assert doubts(customer.connect(url, inline(RIGHT))) == ["provider-unexpected-answer"]
        assert doubts(customer.verify(url, inline(RIGHT))) == ["provider-unexpected-answer"]
    assert jira.asked == []


def test_provider__answers_neither_yes_nor_no__is_doubted_as_such(customer: Customer) -> None:
    with serve(lambda asked: (200, b"<html>Log in</html>")) as server:
        assert doubts(customer.connect(server.url, inline(RIGHT))) == ["provider-unexpected-answer"]


def test_provider__not_on_an_allowed_network__is_not_called(customer: Customer) -> None:
    [problem] = customer.connect("http://10.0.0.1", inline(RIGHT)).messages.problems
    assert "10.0.0.1" in problem.message
    [problem] = customer.verify("http://169.254.169.254", inline(RIGHT)).messages.problems
    assert problem.type == "/problems/outbound-refused"
