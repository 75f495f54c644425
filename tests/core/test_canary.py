"""Secrets are write-only: a word put into every secret place is found in no answer, log, metric or table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import orjson
import psycopg
import pytest
from psycopg import sql

from tests.objects import HTTP_SINK, SECRET_CONFIGS, signed_inline
from tests.server import Server

CANARY = "CaNaRy5f0e91d7"
WEBHOOKS = {
    "provider_key": CANARY,
    "items": [
        {"webhook_url": "https://given.example/", "integrator_key": CANARY},
        {"webhook_url": "https://made.example/"},
    ],
}


class Caller:
    """Sends requests and keeps every answer: its body and its headers."""

    def __init__(self, server: Server) -> None:
        self.server, self.token = server, server.token
        self.answers: list[str] = []
        self.failures: list[int] = []

    def send(self, method: str, path: str, body: Any = None, *, kind: str = "json", token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": f"application/{kind}"}
        data = None if body is None else orjson.dumps(body)
        request = Request(self.server.url + path, data, headers, method=method)
        try:
            with urlopen(request, timeout=30) as answer:
                content, shown = answer.read(), answer.headers
        except HTTPError as error:
            content, shown = error.read(), error.headers
            self.failures.append(error.code)
        self.answers.append(f"{shown}\n{content.decode()}")
        return orjson.loads(content)["result"] if content and b'"result"' in content else None


def config_of(type_: str) -> dict[str, Any]:
    return {"type": type_, **orjson.loads(orjson.dumps(SECRET_CONFIGS[type_]).decode().replace("{}", CANARY))}


def rows_of(server: Server) -> Iterator[tuple[str, Any]]:
    """Every value of every table."""
    url = server.environment["DATABASE_URL"]
    if url.startswith("sqlite"):
        with sqlite3.connect(urlsplit(url).path.removeprefix("/")) as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for row in connection.execute(f'SELECT * FROM "{table}"'):
                    yield from ((table, value) for value in row)
        return
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in found:
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))):
                yield from ((table, value) for value in row)


def files_of(server: Server) -> Iterator[tuple[str, bytes]]:
    """The database's own files, as a thief of the disk has them."""
    for path in sorted(server.folder.rglob("*.sqlite3*")):
        yield path.name, path.read_bytes()


def enter_passwords(caller: Caller) -> None:
    """Every place of a password or a code, right, wrong and malformed."""
    member = {"name": "canary", "type": "service", "secret": f"{CANARY} horses eat"}
    logon = f"/v1/auth/logon/{caller.server.organization_id}"
    for body in (
        {**member, "name": "a@b.example", "secret": [CANARY]},
        {**member, "name": "a@b.example", "secret": CANARY * 40},
        member,
        member,
    ):
        caller.send("POST", "/v1/members", body)
    session = caller.send("POST", logon, {"name": "canary", "secret": member["secret"]})["token"]["access"]["secret"]
    for secret in (CANARY, [CANARY], CANARY * 40):
        caller.send("POST", logon, {"name": "canary", "secret": secret})
        caller.send("POST", logon, {"name": "canary", "secret": member["secret"], "code": secret})
        for old, new in ((secret, CANARY), (member["secret"], secret)):
            change: Any = {"old_secret": old, "new_secret": new}
            caller.send("POST", "/v1/auth/change_password", change, token=session)
        caller.send("POST", "/v1/auth/second_factor/confirm", {"code": secret}, token=session)
    caller.send("GET", "/v1/members/canary")


def enter_sign_on_secrets(caller: Caller) -> None:
    """Every place of a secret of single sign-on, right, wrong and malformed."""
    config = {"type": "oidc", "issuer_url": "https://login.example", "client_id": "app", "client_secret": CANARY}
    made = caller.send("POST", "/v1/auth/sso", {"fullname": "canary", "config": config})
    one = f"/v1/auth/sso/{made['id']}"
    for wrong in (
        {"client_secret": [CANARY]},
        {"client_secret": CANARY * 200},
        {"type": "saml", "idp_certificate": CANARY},
        {"unknown": CANARY},
    ):
        caller.send("POST", "/v1/auth/sso", {"fullname": "bad", "config": config | wrong})
        caller.send("PUT", one, {**made, "config": config | wrong})
    caller.send("PUT", one, {**made, "config": config})
    caller.send("GET", "/v1/auth/sso")
    for code, verifier in ((CANARY, CANARY * 2), ([CANARY], "x" * 43), ("x", CANARY * 9), (CANARY, CANARY + " " * 40)):
        caller.send("POST", "/v1/auth/exchange", {"code": code, "code_verifier": verifier})
    caller.send("GET", f"/v1/auth/oidc/callback?state={CANARY}&code={CANARY}")


def enter_webhook_secrets(caller: Caller) -> None:
    """Every place of a webhook's secret, and what is delivered meanwhile."""
    hooks, body = "/v1/organization/webhooks", {"filters": ["all"], "url": "https://127.0.0.1:9"}
    made = caller.send("POST", hooks, {**body, "secret": {"value": CANARY}})
    for wrong in (CANARY, [CANARY], {"value": [CANARY]}, {"value": f"whsec_{CANARY}"}, {"value": CANARY * 200},
                  {"value": CANARY, "expires": "2020-01-01T00:00:00Z"}, {"unknown": CANARY, "value": "x"}):  # fmt: skip
        caller.send("POST", hooks, {**body, "secret": wrong})
        caller.send("PUT", f"{hooks}/{made['id']}", {**made, "secret": wrong})
    secret = f"/v1/credentials/{made['id']}/{made['credential_id']}"
    operations = [{"op": "replace", "path": "/config/secret", "value": CANARY * 2}]
    caller.send("PATCH", secret, operations, kind="json-patch+json")
    caller.send("POST", f"{hooks}/{made['id']}/test")
    caller.send("GET", f"{hooks}/{made['id']}/deliveries")


@pytest.fixture(scope="module")
def exercised(live_server_process: Server) -> Caller:
    """Every secret place, filled, read, changed, refused and deleted."""
    caller = Caller(live_server_process)
    account = caller.send("POST", "/v1/accounts", {"name": "canary"})["account"]["id"]
    path = f"/v1/credentials/{account}"
    for type_ in SECRET_CONFIGS:
        made = caller.send("POST", path, {"name": type_.replace("_", "-"), "config": config_of(type_)})
        caller.send("GET", f"{path}/{made['id']}")
        caller.send("PUT", f"{path}/{made['id']}", {**made, "config": config_of(type_) | {"unknown": CANARY}})
        caller.send("PUT", f"{path}/{made['id']}", {**made, "config": {**config_of(type_), "type": CANARY}})
        operations = [{"op": "replace", "path": "/config/secret", "value": [CANARY]}]
        caller.send("PATCH", f"{path}/{made['id']}", operations, kind="json-patch+json")
        operations = [{"op": "test", "path": "/config/secret", "value": CANARY}]
        caller.send("PATCH", f"{path}/{made['id']}", operations, kind="json-patch+json")
    caller.send("POST", path, {"config": CANARY})
    caller.send("POST", path, {"config": [CANARY]})
    sink = {**signed_inline(CANARY), "static_headers": {"X-Key": CANARY}}
    trimedx: dict[str, Any] = {
        "type": "sink_trimedx", "credential": config_of("o_auth_client") | {"extra": None}, "customer_id": "c",
        "username": "u", "subscription_key": CANARY,
    }  # fmt: skip
    bad_key = {"items": [{"webhook_url": "https://x.example/", "integrator_key": CANARY * 10}]}
    integrations = f"/v1/integrations/{account}"
    for body in (
        {"name": "sink", "provider_config": sink, "webhook_config": WEBHOOKS},
        {"name": "trimedx", "provider_config": trimedx},
        {"name": "bad", "provider_config": {**sink, "url": "ftp://x"}},
        {"name": "bad", "provider_config": {**HTTP_SINK, "static_headers": {"X": [CANARY]}}},
        {"name": "bad", "provider_config": {**trimedx, "subscription_key": [CANARY]}},
        {"name": "bad", "provider_config": HTTP_SINK, "webhook_config": bad_key},
        {"name": "bad", "provider_config": HTTP_SINK, "webhook_config": {"items": [], "provider_key": [CANARY]}},
        {"name": "bad", "provider_config": HTTP_SINK, "webhook_config": {"items": [], "provider_key": CANARY * 80}},
    ):
        made = caller.send("POST", integrations, body)
        caller.send("POST", f"{integrations}/verify", {"integration": body})
        if made is None:
            continue
        one = f"{integrations}/{made['integration']['id']}"
        caller.send("GET", one)
        caller.send("PUT", one, {**made["integration"], "provider_config": body["provider_config"]})
        caller.send("POST", f"{one}/verify", None)
    failing = {
        "type": "notifications_slack", "channel": "#a", "url": "https://127.0.0.1:9",
        "credential": {"type": "token", "secret": CANARY},
    }  # fmt: skip
    caller.send("POST", integrations, {"name": "failing", "provider_config": failing})
    enter_passwords(caller)
    enter_sign_on_secrets(caller)
    enter_webhook_secrets(caller)
    for listing in (
        "/v1/accounts",
        "/v1/integrations?expand=all",
        integrations,
        path,
        "/v1/tokens",
        "/v1/organization",
    ):
        caller.send("GET", listing)
    caller.send("GET", "/v1/accounts", token=f"sqm_{CANARY}")
    caller.send("POST", "/v1/accounts", {"name": "x"}, token=CANARY)
    caller.send("DELETE", "/v1/accounts/none", token=f"{CANARY} {CANARY}")
    return caller


def test_canary__in_no_answer(exercised: Caller) -> None:
    assert len(exercised.answers) > 60
    assert 500 not in exercised.failures
    shown = [answer for answer in exercised.answers if CANARY in answer]
    assert shown == []


def test_canary__in_no_log_and_no_metric(exercised: Caller) -> None:
    server = exercised.server
    assert "/v1/credentials" in server.log
    assert CANARY not in server.log
    assert server.token not in server.log
    with urlopen(server.url + "/metrics") as answer:
        metrics = answer.read().decode()
    assert "v1/credentials" in metrics
    assert CANARY not in metrics


def test_canary__in_no_table_and_no_file(exercised: Caller) -> None:
    seen = 0
    secrets = [CANARY.encode(), exercised.server.token.encode(), exercised.server.token.rsplit("_", 1)[1].encode()]
    for table, value in rows_of(exercised.server):
        raw = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
        seen += 1
        assert not [secret for secret in secrets if secret in raw], table
    assert seen > 400
    for name, content in files_of(exercised.server):
        assert not [secret for secret in secrets if secret in content], name


def test_secret_shown_once__in_no_later_answer_log_or_table(live_server_process: Server) -> None:
    caller = Caller(live_server_process)
    block = {"permission_set": "connect-ui"}
    made = caller.send("POST", "/v1/accounts", {"name": "shown-once", "token": block})
    account = made["account"]["id"]
    body = {"provider_config": HTTP_SINK, "webhook_config": {"items": [{"webhook_url": "https://x.example/"}]}}
    integration = caller.send("POST", f"/v1/integrations/{account}", body)
    token = caller.send("POST", "/v1/tokens", {"resources": {}, "permission_set": "viewer"})
    short = caller.send("POST", f"/v1/tokens/{account}/{integration['integration']['id']}", {})
    renewed = caller.send("PUT", f"/v1/tokens/{token['owner_id']}/{token['id']}/reset", None)
    again = caller.send("PUT", f"/v1/tokens/{token['id']}/refresh", None, token=renewed["primary"]["refresh"]["secret"])
    mcp = caller.send("POST", "/v1/tokens/mcp", {"scope": {"type": "management"}})
    own = caller.send("POST", "/v1/tokens/synqly-integrations", {})["token"]
    texts = [
        *(each["primary"][kind]["secret"] for each in (renewed, again, own) for kind in ("access", "refresh")),
        mcp["secret"],
        *(made["token"]["primary"][kind]["secret"] for kind in ("access", "refresh")),
        *(token["primary"][kind]["secret"] for kind in ("access", "refresh")),
        *(integration["token"][kind]["secret"] for kind in ("access", "refresh")),
        short["secret"],
        integration["integration"]["webhook_config"]["items"][0]["integrator_key"],
    ]
    caller.answers.clear()
    for path in ("/v1/accounts", "/v1/integrations?expand=all", f"/v1/integrations/{account}", "/v1/tokens?limit=1000"):
        caller.send("GET", path)
    caller.send("GET", f"/v1/tokens/{token['id']}/info")
    caller.send("GET", "/v1/accounts", token=texts[0])
    stored = "\n".join(repr(value) for _, value in rows_of(live_server_process))
    for text in texts:
        secret = text[21:] if text.startswith("sqm_") else text
        assert len(secret) >= 43
        assert secret not in "\n".join(caller.answers)
        assert secret not in live_server_process.log
        assert secret not in stored
