"""Calling the operations of custom providers: one request, one page, within the definition's rate limit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus, urlencode

import orjson

from catalog.customs.definitions import DEFAULT, Definition, endpoints_of
from catalog.customs.paging import find_next, page_query, resolved
from catalog.customs.providers import as_text, build_base, build_schemes, credential_at, expected, localized
from catalog.errors import CredentialRejectedError, ProviderBusyError, UnexpectedAnswerError
from catalog.signin import Caller, SignIn, sign_in
from catalog.templates import PLACEHOLDER, Context, UnfillableError, choose, fill, fill_path, read_host
from catalog.verify import Secrets
from core.errors import InvalidError, MalformedBodyError, NotFoundError
from core.limits.limiter import limiter
from core.limits.policies import Policy
from core.outbound import Limits, OutboundAnswer, Sender, send
from core.outbound.destination import parse_url
from core.parsing import read_json, value_at

LIMITS = Limits()
LONGEST_WAIT = 3600  # seconds that a provider may ask us to stay away


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """What one call gave. `next` is the `cursor` that asks for the next page; None when there is none."""

    result: Any
    next: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Connection:
    """A custom provider as one integration reaches it.

    `config` is the integration's provider configuration, valid for the definition, and `secrets` what its credentials
    open to, by pointer. `subject` is whose requests the rate limit counts: the integration's id. `send` is the way
    out: requests leave by it and by nothing else. An access token is kept as long as the connection.
    """

    definition: Definition
    config: Mapping[str, Any] = dataclasses.field(repr=False)
    secrets: Secrets = dataclasses.field(repr=False)
    subject: str
    send: Sender = send
    limits: Limits = LIMITS
    signed: dict[str, SignIn] = dataclasses.field(default_factory=dict, repr=False)


def call_operation(
    *, connection: Connection, operation: str, arguments: Mapping[str, Any] | None = None, cursor: str | None = None
) -> Page:
    """Calls one operation and gives its result, of a paged one one page.

    `arguments` fill the placeholders `{input.<name>}`. `cursor` is the `next` of the page before. Raises a problem for
    whatever the caller, the provider or the network does wrong.
    """
    declared = connection.definition["operations"].get(operation)
    if declared is None:
        known = ", ".join(sorted(connection.definition["operations"]))
        raise NotFoundError(f"there is no operation {operation[:64]!r}; the definition has {known[:512]}")
    try:
        return _Call(connection, operation, declared, dict(arguments or {})).page(cursor)
    except UnfillableError as error:
        raise InvalidError(f"the operation {operation!r} cannot be called: {error}") from error


class _Call:
    """One operation with its arguments, for as many pages as it is asked."""

    def __init__(
        self, connection: Connection, name: str, operation: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> None:
        self.connection, self.name, self.operation, self.arguments = connection, name, operation, arguments
        self.provider: str = connection.definition["name"]
        self.endpoint: str = operation.get("endpoint", DEFAULT)
        self.declared = endpoints_of(connection.definition)[self.endpoint]
        self.kind, secret = connection.secrets[credential_at(self.endpoint)]
        inputs = {n: as_text(v) for n, v in arguments.items() if isinstance(v, str | int | float)}
        config = {**connection.config, "input": inputs}
        self.context = Context(config=config, secret=secret)
        base = choose(build_base(self.endpoint, self.declared), self.context)
        assert base is not None  # every definition has one
        self.base = base
        skip = connection.config["endpoints"][self.endpoint].get("skip_tls_verify") is True
        host = read_host(base) if skip else ""
        self.caller = Caller(self.provider, connection.limits, host, connection.send)

    def page(self, cursor: str | None) -> Page:
        paging = self.operation.get("pagination", {})
        url = self.address(cursor, paging)
        self.take_permit()
        answer = self.asked(url)
        body = self.read(answer)
        result = self.result_of(body)
        if not paging:
            return Page(result)
        link = answer.headers.get("link", "")
        return Page(result, resolved(paging, find_next(paging, cursor, result, body=body, link=link), url))

    # --- asking ----------------------------------------------------------------------------------

    def take_permit(self) -> None:
        """Counts the request under the rate limit of the operation, else of the definition."""
        name, limit = f"custom operation {self.name}", self.operation.get("rate_limit")
        if limit is None:
            name, limit = "custom provider", self.connection.definition.get("rate_limit")
        if limit is None:
            return
        policy = Policy(name, "integration", limit["requests"], limit["seconds"])
        verdict = limiter.take(policy, self.connection.subject)
        if verdict is not None and not verdict.is_allowed:
            raise ProviderBusyError(
                f"{self.provider} takes {policy.limit} requests in {policy.window} seconds, and they are used up.",
                headers={"Retry-After": str(verdict.seconds)},
            )

    def address(self, cursor: str | None, paging: Mapping[str, Any]) -> str:
        """Where a page is. A URL that the provider gave for it must lead to the same host: credentials go with it."""
        if cursor is not None and paging.get("style") in ("url", "link"):
            given, own = parse_url(cursor), parse_url(self.base)
            if (given.scheme, given.authority) != (own.scheme, own.authority):
                raise UnexpectedAnswerError(f"{self.provider} names a next page at another host: {given}.")
            return cursor
        query = self.filled({n: as_text(v) for n, v in self.operation.get("query", {}).items()})
        url = self.base + fill_path(localized(self.operation["path"]), self.context)
        return _with_query(url, query | page_query(paging, cursor))

    def filled(self, templates: Mapping[str, str]) -> dict[str, str]:
        """Parameters by name, without those whose value is not given."""
        found = {}
        for name, template in templates.items():
            try:
                found[name] = fill(localized(template), self.context)
            except UnfillableError:
                continue
        return found

    def asked(self, url: str) -> OutboundAnswer:
        """The answer; with a new access token when the kept one is not taken any more."""
        kept = self.connection.signed.pop(self.endpoint, None)
        signed = kept or self.signed_in()
        answer = self.sent(url, signed)
        if answer.status == 401 and kept is not None:
            signed = self.signed_in()
            answer = self.sent(url, signed)
        if answer.status not in (401, 403):
            self.connection.signed[self.endpoint] = signed
        return answer

    def signed_in(self) -> SignIn:
        scheme = build_schemes(self.declared).get(self.kind)
        if scheme is None:
            raise UnfillableError(f"it takes no credential of type `{self.kind}`")
        return sign_in(scheme, self.context, self.caller)

    def sent(self, url: str, signed: SignIn) -> OutboundAnswer:
        headers = {"Accept": "application/json", **self.filled(self.operation.get("headers", {})), **signed.headers}
        body = b""
        if "body" in self.operation:
            headers["Content-Type"] = "application/json"
            body = orjson.dumps(self.fill_body(self.operation["body"]))
        return self.caller.call(self.operation.get("method", "GET"), _with_query(url, signed.query), headers, body)

    def fill_body(self, node: Any) -> Any:
        """A JSON value with its placeholders filled. One that is the whole of a text keeps the argument's own type."""
        if isinstance(node, str):
            whole = PLACEHOLDER.fullmatch(localized(node))
            if whole is not None and whole["path"].startswith("config.input."):
                return self.arguments.get(whole["path"].removeprefix("config.input."))
            return fill(localized(node), self.context)
        if isinstance(node, dict):
            return {name: self.fill_body(inner) for name, inner in node.items() if not self.is_absent(inner)}
        if isinstance(node, list):
            return [self.fill_body(inner) for inner in node if not self.is_absent(inner)]
        return node

    def is_absent(self, node: Any) -> bool:
        """Whether a value is one placeholder whose argument is not given."""
        whole = PLACEHOLDER.fullmatch(localized(node)) if isinstance(node, str) else None
        if whole is None or not whole["path"].startswith("config.input."):
            return False
        return whole["path"].removeprefix("config.input.") not in self.arguments

    # --- reading ---------------------------------------------------------------------------------

    def read(self, answer: OutboundAnswer) -> Any:
        """The answer's JSON; None when there is no body."""
        host, status = read_host(self.base), answer.status
        if status == 429:
            after = answer.headers.get("retry-after", "")
            seconds = min(int(after), LONGEST_WAIT) if after.isascii() and after.isdigit() and len(after) < 9 else 60
            raise ProviderBusyError(f"{host} takes no more requests now.", headers={"Retry-After": str(seconds)})
        if status in expected(self.operation):
            return self.parsed(answer.body) if answer.body.strip() else None
        if status in (401, 403):
            raise CredentialRejectedError(f"{self.provider} did not accept the credential: {host} answered {status}.")
        raise UnexpectedAnswerError(f"{self.provider} did not answer as expected: {host} answered {status}.")

    def parsed(self, body: bytes) -> Any:
        try:
            return read_json(body, limit=self.connection.limits.answer)
        except MalformedBodyError as error:
            raise UnexpectedAnswerError(
                f"{self.provider} did not answer as expected: {read_host(self.base)} sent no JSON that is read here.",
                detail=error.message,
            ) from None

    def result_of(self, body: Any) -> Any:
        """What the operation's `response` points to."""
        pointer = self.operation.get("response", "")
        found = value_at(body, pointer) if body is not None else None
        if found is None and pointer and body is not None:
            raise UnexpectedAnswerError(f"{self.provider} did not answer as expected: there is no `{pointer}`.")
        return found


def _with_query(url: str, query: Mapping[str, str]) -> str:
    """An address with parameters, each in place of those that it has by that name; the others stay as they are."""
    if not query:
        return url
    place, _, given = url.partition("?")
    kept = [each for each in given.split("&") if each and unquote_plus(each.partition("=")[0]) not in query]
    return f"{place}?{'&'.join([*kept, urlencode(query)])}"
