"""A browser with cookies of its own, at the service and at the providers it is sent to."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
import secrets
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
from django.test import Client

from tests.contract.problems import assert_problem

RETURN_TO = "https://app.example/signed-in"
PUBLIC_URL = "http://localhost:8000"


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclasses.dataclass
class Browser:
    """Follows a sign-in step by step: a test may change what is carried between two of them."""

    client: Client = dataclasses.field(default_factory=Client)
    verifier: str = dataclasses.field(default_factory=lambda: secrets.token_urlsafe(32))

    def start(self, sso: dict[str, Any], **query: str) -> Any:
        asked = {"return_to": RETURN_TO, "code_challenge": challenge_of(self.verifier), "state": "mine"} | query
        return self.get(f"/v1/auth/sso/{sso['id']}/start?{urlencode(asked)}")

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code != 500, answer.content.decode()
        return answer

    def at_provider(self, sso: dict[str, Any], **query: str) -> str:
        """The address at the provider that a sign-in begins at."""
        answer = self.start(sso, **query)
        assert answer.status_code == 303, answer.content.decode()
        return str(answer.headers["Location"])

    def back_from(self, url: str) -> str:
        """Where the provider sends the browser, as a path of the service."""
        back = urlsplit(httpx.get(url).headers["Location"])
        assert f"{back.scheme}://{back.netloc}" == PUBLIC_URL
        return f"{back.path}?{back.query}"

    def sign_in(self, sso: dict[str, Any]) -> Any:
        """The answer to the provider's redirect, after every step before it went well."""
        return self.get(self.back_from(self.at_provider(sso)))

    def form_from(self, url: str) -> dict[str, str]:
        """The form in the page of a SAML provider, which sends itself."""
        page = httpx.get(url).text
        assert re.search(r'action="([^"]+)"', page)[1] == f"{PUBLIC_URL}/v1/auth/saml/acs"  # type: ignore[index]
        fields = re.findall(r'name="(\w+)" value="([^"]*)"', page)
        return {str(name): html.unescape(value) for name, value in fields}

    def post(self, form: dict[str, str]) -> Any:
        answer = self.client.post(
            "/v1/auth/saml/acs", urlencode(form), content_type="application/x-www-form-urlencoded"
        )
        assert answer.status_code != 500, answer.content.decode()
        return answer

    def sign_in_by_post(self, sso: dict[str, Any]) -> Any:
        return self.post(self.form_from(self.at_provider(sso)))

    def exchange(self, code: str, verifier: str | None = None, **members: str) -> Any:
        body = {"code": code, "code_verifier": verifier or self.verifier, **members}
        answer = self.client.post("/v1/auth/exchange", body, content_type="application/json")
        assert answer.status_code != 500, answer.content.decode()
        return answer


def code_of(answer: Any) -> str:
    """The code of a finished sign-in."""
    assert answer.status_code == 303, answer.content.decode()
    address, _, query = answer.headers["Location"].partition("?")
    assert address == RETURN_TO
    assert parse_qs(query)["state"] == ["mine"]
    return str(parse_qs(query)["code"][0])


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def assert_refused(answer: Any, because: str) -> None:
    """A refusal that says why, in words for people."""
    problem = assert_problem(answer, 403, "sign-in-refused")
    assert because in problem["message"], problem["message"]


def assert_lost(answer: Any) -> None:
    assert_problem(answer, 400, "sign-in-lost")
