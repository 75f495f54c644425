"""Finding out whether a configuration works, by the check that its provider declares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import orjson

from catalog.errors import CredentialRejectedError, UnexpectedAnswerError, VerificationUnavailableError
from catalog.members import without_nulls
from catalog.registry import Provider
from catalog.signin import FORM, Caller, SignIn, sign_in
from catalog.templates import Context, UnfillableError, choose, fill, fill_path, fill_tree, read_host
from core.errors import ProblemError
from core.outbound import Limits, OutboundAnswer, Sender, send
from core.parsing import read_json, value_at

LIMITS = Limits(connect=3.0, total=8.0)  # of one request; a check makes one or two
SKIP_TLS = ("skip_tls_verify", "skip_verify", "insecure_skip_verify")
UNREADABLE: Any = object()

# By the pointer of its member: the type and the configuration of an opened credential.
Secrets = Mapping[str, tuple[str, Mapping[str, Any]]]
Choice = tuple[Mapping[str, Any], Context]


def verify(
    provider: Provider,
    config: Mapping[str, Any],
    secrets: Secrets,
    *,
    limits: Limits = LIMITS,
    send: Sender = send,
) -> list[ProblemError]:
    """The doubts about a valid configuration: none only if the provider accepted it, or is a mock.

    Never raises for what the provider or the network does. `send` is another way to the provider than the direct one.
    """
    check = provider.check
    if check["kind"] == "mock":
        return []
    if check["kind"] == "none":
        return [VerificationUnavailableError(f"{provider.fullname} was not asked: {check['reason']}")]
    try:
        _run(provider, without_nulls(config), secrets, limits, send)
    except UnfillableError as error:
        return [VerificationUnavailableError(f"{provider.fullname} was not asked: {error}.")]
    except ProblemError as error:
        return [error]
    return []


def _run(provider: Provider, config: Mapping[str, Any], secrets: Secrets, limits: Limits, send: Sender) -> None:
    """Try each way to sign in until one is not refused. Most checks have one."""
    refused: CredentialRejectedError | None = None
    for choices in itertools.product(*_list_choices(provider, config, secrets)):
        try:
            return _attempt(provider, choices, limits, send)
        except CredentialRejectedError as error:
            refused = error
    if refused is not None:
        raise refused
    raise UnfillableError("the check names no credential")


def _list_choices(provider: Provider, config: Mapping[str, Any], secrets: Secrets) -> Iterator[list[Choice]]:
    """Per credential that the check uses: the schemes that may apply to the form it has."""
    members = {member.pointer: member for member in provider.credential_members(config)}
    for entry in provider.check["auth"]:
        opened = secrets.get(entry["credential"])
        if opened is None:
            if entry.get("optional"):
                continue
            raise UnfillableError(f"there is no credential at `{entry['credential']}`")
        credential_type, secret = opened
        member = members.get(entry["credential"])
        form = member.form if member is not None and member.credential_type else credential_type
        schemes = entry["types"].get(form)
        if schemes is None:
            raise UnfillableError(f"the check cannot use a credential of type `{credential_type}`")
        context = Context(config=config, secret=secret)
        yield [(scheme, context) for scheme in (schemes if isinstance(schemes, list) else [schemes])]


def _attempt(provider: Provider, choices: tuple[Choice, ...], limits: Limits, send: Sender) -> None:
    check, context = provider.check, choices[0][1]
    base = ""
    if "path" in check:
        base = choose(check["base"], context) or ""
        if not base:
            raise UnfillableError("the address to call does not follow from the configuration")
    places = [check["skip_tls"]] if "skip_tls" in check else [f"/{name}" for name in SKIP_TLS]
    skip = any(value_at(context.config, place) is True for place in places)
    caller = Caller(provider.fullname, limits, read_host(base) if skip else "", send)
    signed = [sign_in(scheme, inner, caller) for scheme, inner in choices]
    if base:  # else an access token was all there is to ask for
        _judge(provider, _ask(check, base, context, signed, caller), read_host(base))


def _ask(check: Mapping[str, Any], base: str, context: Context, signed: list[SignIn], caller: Caller) -> OutboundAnswer:
    headers = {name: fill(value, context) for name, value in check.get("headers", {}).items()}
    for name, value in check.get("optional_headers", {}).items():
        try:
            headers[name] = fill(value, context)
        except UnfillableError:
            continue
    query = {name: fill(value, context) for name, value in check.get("query", {}).items()}
    for part in signed:
        headers |= part.headers
        query |= part.query
    body = b""
    if "json" in check:
        headers["Content-Type"] = "application/json"
        body = orjson.dumps(fill_tree(check["json"], context))
    elif "form" in check:
        headers["Content-Type"] = FORM
        body = urlencode(fill_tree(check["form"], context)).encode("ascii")
    url = base + fill_path(check["path"], context) + (f"?{urlencode(query)}" if query else "")
    return caller.call(check.get("method", "GET"), url, headers, body)


def _judge(provider: Provider, answer: OutboundAnswer, host: str) -> None:
    """Say nothing only if the answer is one that the check expects of an accepted credential."""
    check, status = provider.check, answer.status
    if status in check.get("denied", (401, 403)):
        hint = " It may be valid and lack a permission." if status == 403 else ""
        raise CredentialRejectedError(
            f"{provider.fullname} did not accept the credential: {host} answered {status}.{hint}"
        )
    if status not in check.get("expect", (200,)):
        raise UnexpectedAnswerError(f"{provider.fullname} did not answer as expected: {host} answered {status}.")
    rules = check.get("answer", {})
    if rules.get("form") == "any" or status == 204:
        return
    body = _read_json(answer.body)
    if body is UNREADABLE:
        raise UnexpectedAnswerError(
            f"{provider.fullname} did not answer as expected: {host} sent no JSON, or none that can be read."
        )
    for rule in rules.get("require", ()):
        _require(provider, rule, body, host)


def _require(provider: Provider, rule: Mapping[str, Any], body: Any, host: str) -> None:
    """Some providers say no with a status of success: `is` and `present: false` tell by the body."""
    found = value_at(body, rule["at"])
    if found is None and rule.get("present") is not False:
        raise UnexpectedAnswerError(f"{provider.fullname} did not answer as expected: {host} sent no `{rule['at']}`.")
    if ("is" in rule and found != rule["is"]) or (rule.get("present") is False and found is not None):
        raise CredentialRejectedError(
            f"{provider.fullname} did not accept the credential: {host} said so in `{rule['at']}`."
        )


def _read_json(body: bytes) -> Any:
    try:
        value = read_json(body, limit=LIMITS.answer)
    except ProblemError:
        return UNREADABLE
    return value if isinstance(value, dict | list) else UNREADABLE
