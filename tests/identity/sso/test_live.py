"""Signing in at the service as a process: its log, who wins a race, and a real browser where there is one."""

# mypy: disable-error-code="import-untyped"
from __future__ import annotations

import concurrent.futures
import contextlib
import http.server
import shutil
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from tests.identity.sso.browser import challenge_of, query_of
from tests.identity.sso.configs import OIDC, SAML
from tests.identity.sso.oidc_provider import OidcProvider, oidc_provider
from tests.identity.sso.saml_idp import SamlIdp, saml_idp
from tests.server import Server, free_port, serving

VERIFIER = "x" * 43
AT_ONCE = 12


@contextlib.contextmanager
def application() -> Iterator[str]:
    """The page that the browser comes to in the end."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/done"
        server.shutdown()


@pytest.fixture(scope="module")
def return_to() -> Iterator[str]:
    with application() as address:
        yield address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, return_to: str) -> Iterator[Server]:
    """A server that knows its address, and where a sign-in may end."""
    with serving(tmp_path_factory.mktemp("sign-on"), SYNQMGR_RETURN_TO=return_to) as running:
        running.stop()
        running.port = free_port()
        running.environment["SYNQMGR_PUBLIC_URL"] = running.url
        running.start()
        yield running


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with oidc_provider() as running:
        yield running


@pytest.fixture(scope="module")
def idp() -> Iterator[SamlIdp]:
    with saml_idp() as running:
        yield running


@pytest.fixture(scope="module")
def configured(server: Server, provider: OidcProvider, idp: SamlIdp) -> dict[str, str]:
    """The ids of a configuration of each protocol, which let new members in."""
    configs = {"oidc": OIDC | {"issuer_url": provider.issuer}, "saml": SAML | {"idp_sso_url": idp.url}}
    made = {}
    for name, config in configs.items():
        body = {"fullname": name, "config": config | {"provisioning": "create"}}
        answer = httpx.post(f"{server.url}/v1/auth/sso", json=body, headers={"Authorization": f"Bearer {server.token}"})
        made[name] = answer.json()["result"]["id"]
    return made


def start_url(server: Server, sso_id: str, return_to: str) -> str:
    asked = {"return_to": return_to, "code_challenge": challenge_of(VERIFIER)}
    return f"{server.url}/v1/auth/sso/{sso_id}/start?{urlencode(asked)}"


def exchange(server: Server, code: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/auth/exchange", json={"code": code, "code_verifier": VERIFIER})


def test_sign_in__answered_and_exchanged_many_times_at_once__is_one_session(
    server: Server, configured: dict[str, str], return_to: str
) -> None:
    with httpx.Client() as client, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        at_provider = client.get(start_url(server, configured["oidc"], return_to)).headers["Location"]
        back = httpx.get(at_provider).headers["Location"]
        answers = list(pool.map(lambda _: httpx.get(back, cookies=client.cookies), range(AT_ONCE)))
        assert sorted(answer.status_code for answer in answers) == [303, *[400] * (AT_ONCE - 1)]
        code = query_of(next(a.headers["Location"] for a in answers if a.status_code == 303))["code"]
        sessions = list(pool.map(lambda _: exchange(server, code), range(AT_ONCE)))
    assert sorted(session.status_code for session in sessions) == [200, *[400] * (AT_ONCE - 1)]
    token = next(s.json()["result"]["token"] for s in sessions if s.status_code == 200)
    secrets = [code, VERIFIER, OIDC["client_secret"], *query_of(back).values(), *client.cookies.values()]
    secrets += [token["access"]["secret"], token["refresh"]["secret"]]
    assert [secret for secret in secrets if secret in server.log] == []


def test_sign_in__first_ones_of_one_user_at_once__are_of_one_member(
    server: Server, configured: dict[str, str], provider: OidcProvider, return_to: str
) -> None:
    user, provider.user = provider.user, {"sub": "u-2", "email": "bob@example.com", "email_verified": True}
    gate = threading.Barrier(AT_ONCE)

    def sign_in(_: int) -> str:
        with httpx.Client() as client:
            at_provider = client.get(start_url(server, configured["oidc"], return_to)).headers["Location"]
            back = httpx.get(at_provider).headers["Location"]
            gate.wait()
            answer = client.get(back, timeout=60)
        assert answer.status_code == 303, answer.text
        session = exchange(server, query_of(answer.headers["Location"])["code"])
        return str(session.json()["result"]["member"]["id"])

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        members = set(pool.map(sign_in, range(AT_ONCE)))
    provider.user = user
    assert len(members) == 1


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium and chromedriver are installed")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as browser:
        yield browser


@pytest.mark.parametrize("protocol", ["oidc", "saml"])
def test_sign_in__in_a_real_browser__ends_at_the_application(
    protocol: str, server: Server, configured: dict[str, str], return_to: str, chromium: webdriver.Chrome
) -> None:
    chromium.get(start_url(server, configured[protocol], return_to))
    WebDriverWait(chromium, 15).until(lambda browser: browser.current_url.startswith(return_to))
    session = exchange(server, query_of(chromium.current_url)["code"])
    assert session.status_code == 200
    assert session.json()["result"]["member"]["name"] == "ada@example.com"
