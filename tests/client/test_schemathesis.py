"""The schema against the service: requests made from openapi.yaml, and every check of what comes back.

What is left out, and why:

- the stateful phase: it needs links between operations, and the schema declares none;
- 400 for a request that the schema allows, where the reason is one that a schema cannot say: see `UNSAYABLE`;
- the connector in place of its id in a provider's `connector`: the schema says `string` there.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import StopReason, events, from_schema
from synqly.management.organization_webhooks import OrganizationWebhookSecret

from tests.catalog.definitions import DEFINITION, text_of
from tests.client.published import Published
from tests.client.test_published_sso import PARTS
from tests.identity.sso.keys import new_certificate
from tests.server import ROOT, Server, serving

SECONDS = 50
# The same requests each time, so that what fails is of a change. SCHEMATHESIS_SEED=4 and so on look further.
SEED = int(os.environ.get("SCHEMATHESIS_SEED", "3"))
# Their bodies repeat what is stored or follow a provider's own schema: no generator hits that by what it is told here.
# Nor does it sign anybody in.
KNOWING = (
    r"PUT |POST /v1/(integrations/|mappings/apply|customs)|GET /v1/auth/(sso/.+/start|oidc/callback)"
    r"|POST /v1/auth/(exchange|saml/acs)"
)
REFUSALS = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422]  # a body may be wrong and too large
UNSAYABLE = (
    r"does not exist$",  # names an object of the organization, a provider or a mapping
    r"is no (provider|operation|id)\b",
    r"is no (provider|operation) of the connector",
    r"must be one of appsec, ",  # the catalog's connectors
    r"must lie in the future$",
    r"must lie at most a year back$",
    r"cannot be changed: send the value that is stored$",
    r"which is not there any more, so its place under this order is unknown$",
    r"names several objects",
    r"has no member",
    r"^the object has changed since it was read$",  # `If-Match`
    r"must not look like an id$",  # unless it is the object's own
    r"^Leave out the character U\+0000|^Send an integer between",  # wherever they are; the introduction says so
    r"can be filtered by|is no operator of|^the value of '",  # a date such as 2026-02-30
    r"must be from \d+[hms] to \d+[hms]$|must be a duration such as",  # how long a duration is; `0h` is none
    r"/(webhook_url|picture): must be an http or https address$",  # what a host's name may be
    r"/backfill_from_time: must be a time",  # a time, `7d` or `max`: the schema says so in words
    r"^`If-(None-)?Match` must be",  # sayable and said, but what is sent as valid does not heed a header's pattern
    r"is there twice$",  # an address among the webhooks of one integration
    r"/allowed_networks/\d+: (must be a network|has bits set|is IPv4 written)",  # as prefixes allow
    r"must be the e-mail address of a person",  # unless the type is `service`
    r"must be (an https address|a domain|a PEM certificate)|must not have a query$",  # of an identity provider
    r"^`return_to` must be one of|no sign-in under way|^the code is not good|^the configuration is not of SAML",
    r"^/data: ",  # the documents of mappings and custom providers have grammars of their own
    r"is no credential of this webhook",
    r"is neither a DNS name nor an IP address",  # how long a host's name may be
    r"^`start_after` must be the",  # what the last object showed: a time or an id, perhaps with another behind it
    r"^give `month` for one month|^`month` must be one of|^`(from|to)` must",  # parameters that depend on each other
    r"must be the id of one account for",  # what a permission set of one account needs
    r"is a word that the API's addresses use$",
    r"the object has no such place for it",  # paths of a patch
    r"/token_ttl: must be at most",  # how long a duration is, for a kind of member or of token
    r"^/secret: (must have at least|is too easy)",  # what the organization asks of passwords
    r"/provider_config",  # its own schema is the catalog's
)


@dataclasses.dataclass(frozen=True)
class Seeds:
    """Objects that requests are about, and others that they may delete, by the names of path parameters."""

    kept: dict[str, str]
    doomed: dict[str, str]


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own: whatever it holds may be changed."""
    with serving(tmp_path_factory.mktemp("schemathesis"), SYNQMGR_LIMITS="off") as running:
        yield running


@pytest.fixture
def seeds(server: Server) -> Seeds:
    client = Published(server.url, server.token)
    account = client.accounts.create(name="north", labels=["gold"]).result.account.id
    kept, doomed = ({"account_id": account, "owner_id": account, "provider_id": "ticketing_jira"} for _ in range(2))
    for name, values in (("kept", kept), ("doomed", doomed)):
        config = {"type": "token", "secret": "hush"}
        values["credential_id"] = client.credentials.create(account, name=name, config=config).result.id
        mock = {"type": "ticketing_mock_ticketing"}
        made = client.integrations.create(account, name=name, provider_config=mock).result.integration
        values["integration_id"] = made.id
        environments: dict[str, list[str]] = {"test": ["*"]}
        point = client.integration_points.create(name=name, connector="ticketing", environments=environments).result
        values["integration_point_id"] = point.id
        values["mapping_id"] = client.mappings.create(name=name, data="title: summary").result.mapping.id
        values["custom_id"] = client.customs.create(name=name, data=text_of(DEFINITION)).result.custom.id
        values["bridge_id"] = client.bridges.create(account, name=name).result.bridge.id
        values["webhook_id"] = client.organization_webhooks.create(
            name=name, filters=["all"], url="https://hooks.example/x", secret=OrganizationWebhookSecret(value="hush")
        ).result.id
        values["organization_id"] = client.sub_orgs.create(name=name).result.organization.id
        values["role_id"] = client.roles.create(name=name, permission_set="viewer").result.id
        values["member_id"] = client.members.create(
            name=name, secret="seven horses eat paper", type="service"
        ).result.member.id
        config = {**PARTS["saml"], "type": "saml", "idp_certificate": new_certificate().pem}
        values["sso_id"] = client.auth.create_sso(fullname=name, config=config).result.id
        values["refresh_token_id"] = client.tokens.create_token(resources={}, permission_set="viewer").result.id
    doomed["account_id"] = client.accounts.create(name="doomed").result.account.id
    return Seeds(kept, doomed)


def configured(server: Server, seeds: Seeds) -> SchemathesisConfig:
    deletes = []
    for path, methods in schemathesis.openapi.from_path(ROOT / "openapi.yaml").raw_schema["paths"].items():
        if "delete" in methods:
            names = re.findall(r"{(\w+)}", path)[-1:]
            values = {f"path.{name}": seeds.doomed[name] for name in names}
            deletes.append({"include-name": f"DELETE {path}", "parameters": values})
    return SchemathesisConfig.from_dict(
        {
            "max-time": SECONDS,
            "seed": SEED,
            "continue-on-failure": True,
            "base-url": server.url,
            "headers": {"Authorization": f"Bearer {server.token}"},
            "parameters": {f"path.{name}": value for name, value in seeds.kept.items()},
            "operations": deletes,
            "generation": {"deterministic": True, "max-examples": 3, "no-shrink": True, "database": "none"},
            "checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}},
            "cache": {"enabled": False},
            "phases": {"stateful": {"enabled": False}},
        }
    )


def sayable(body: Any) -> list[str]:
    """The reasons of a refusal that a schema could have said."""
    reasons = [cause["message"] for cause in body.get("cause", ())] or [body["message"]]
    return [message for message in reasons if not any(re.search(reason, message) for reason in UNSAYABLE)]


def failures_of(recorder: Any) -> dict[str, str]:
    """What the checks found wrong with one operation, and the exchange that shows it."""
    found = {}
    for case, checks in recorder.checks.items():
        for info in (check.failure_info for check in checks if check.failure_info is not None):
            answer = recorder.interactions[case].response
            shown = f"{answer.status_code} {answer.content[:400]!r}" if answer else "no answer"
            if answer and answer.status_code == 400 and answer.content:
                shown += f"\n{sayable(json.loads(answer.content))}"
            title = f"{recorder.label}: {info.failure.title}"
            found[title] = f"{info.failure.message[:800]}\n{info.code_sample[:600]}\n{shown}"
    return found


def test_schema__every_operation_fuzzed__holds_what_it_says(server: Server, seeds: Seeds) -> None:
    schema = schemathesis.openapi.from_path(ROOT / "openapi.yaml", config=configured(server, seeds))

    @schema.hook
    def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
        if "x-request-id" not in {name.lower() for name in response.headers}:
            return False  # the server's own refusal, as of an address that is too long: it never came to the service
        if type(failure).__name__ == "RejectedPositiveData" and response.status_code in (400, 412):
            return bool(sayable(json.loads(response.content)))
        return True

    found: dict[str, str] = {}
    tested: dict[str, set[int]] = {}
    whole = False
    for event in from_schema(schema).execute():
        if isinstance(event, events.EngineFinished):
            whole = event.stop_reason is StopReason.COMPLETED
        if isinstance(event, events.NonFatalError | events.FatalError):
            found[str(event)] = "the run itself failed"
        if isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            statuses = {i.response.status_code for i in recorder.interactions.values() if i.response}
            tested.setdefault(recorder.label, set()).update(statuses)
            found |= failures_of(recorder)
    assert not found, "\n\n".join(f"{title}\n{text}" for title, text in sorted(found.items()))
    only_refused = [label for label, statuses in tested.items() if not any(status < 300 for status in statuses)]
    if whole:  # a slow machine runs out of time before every operation's turn
        assert not [label for label in only_refused if not re.match(KNOWING, label)]
