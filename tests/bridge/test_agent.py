"""An agent on its own: what it needs to start, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.agent import Agent
from bridge.credential import Credential, CredentialError, read_credential
from bridge.reach import Reach
from bridge.service import Service, ServiceError
from core.columns import new_id
from core.outbound import OutboundRequest
from core.outbound.relay import pack_request
from tests.bridge.agents import AgentProcess, running
from tests.core.outbound_servers import listen, make_tls, reply
from tests.server import ROOT, free_port

ALONE = """
import sys, bridge.__main__
from django.conf import settings
assert not settings.configured
assert not {"rest_framework", "synqmgr.settings", "integrations"} & set(sys.modules)
"""


def credential_text(**claims: Any) -> str:
    """What an agent reads of a credential; the service would not take it."""
    whole = {"iss": "https://api.example", "sub": new_id(), "exp": time.time() + 1e8} | claims
    return "e30." + base64.urlsafe_b64encode(json.dumps(whole).encode()).rstrip(b"=").decode() + ".c2ln"


def test_agent__imported__needs_no_settings_and_nothing_of_the_service() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "service",
    ["https://api.example", "http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]", "https://10.0.0.1/sub/"],
)
def test_credential__with_an_address_that_is_safe__is_read(tmp_path: Path, service: str) -> None:
    path = tmp_path / "creds"
    path.write_text(credential_text(iss=service) + "\n")
    assert read_credential(path).service == service.rstrip("/")
    path.write_text(credential_text(iss="http://api.example"))
    assert read_credential(path, service).service == service.rstrip("/")


@pytest.mark.parametrize(
    "service", ["http://api.example", "http://10.0.0.1", "http://127.0.0.1.example", "ftp://a", "x", "https://"]
)
def test_credential__with_an_address_that_is_not__is_refused(tmp_path: Path, service: str) -> None:
    path = tmp_path / "creds"
    path.write_text(credential_text(iss=service))
    with pytest.raises(CredentialError, match="no https address"):
        read_credential(path)


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "e30.e30.e30", "\xff", credential_text(exp="soon")])
def test_credential__that_is_none__is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "creds"
    path.write_text(text, "latin-1")
    with pytest.raises(CredentialError) as refused:
        read_credential(path)
    assert not text or text not in str(refused.value)


def logs(agent: AgentProcess, word: str) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if word in agent.log:
            return True
        time.sleep(0.05)
    return False


def test_agent__without_what_it_needs__ends_and_says_why(tmp_path: Path) -> None:
    with running(tmp_path, "nonsense") as agent:
        assert agent.ended() == 2
        assert "does not hold the credential" in agent.log
    with running(tmp_path, credential_text(), "--allow", "10.0.0.1/8") as agent:
        assert agent.ended() == 2
        assert "'10.0.0.1/8' is neither a network nor a host name" in agent.log


def test_agent__service_away__keeps_trying_and_stops_when_told(tmp_path: Path) -> None:
    given = credential_text(iss=f"http://127.0.0.1:{free_port()}", exp=time.time() + 3600)
    entries = tmp_path / "allowed"
    entries.write_text("# the lab\n10.0.0.0/8\n\n*.corp.example # and all of it\n")
    with running(tmp_path, given, "--allow-file", str(entries)) as agent:
        assert logs(agent, "cannot be reached")
        assert "expires at" in agent.log
        assert "nothing is allowed" not in agent.log
        started = time.monotonic()
        agent.process.terminate()  # type: ignore[union-attr]
        assert agent.ended() == 0
        assert time.monotonic() - started < 5


def test_service__with_a_certificate_of_nobody__is_not_talked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, trust = make_tls(tmp_path, ["127.0.0.1"], [])
    with listen(reply(b"HTTP/1.1 204 No Content\r\n\r\n"), tls=context) as listener:
        credential = Credential(credential_text(), new_id(), f"https://127.0.0.1:{listener.port}", None)  # type: ignore[arg-type]
        with pytest.raises(ServiceError, match="certificate"):
            Service(credential, new_id()).take()
        monkeypatch.setenv("SSL_CERT_FILE", str(trust))
        assert Service(credential, new_id()).take()[0] is None


def test_answer__that_a_proxy_refuses_for_its_size__is_said_to_be_too_large() -> None:
    statuses = iter([b"413 Request Entity Too Large", b"204 No Content"])  # the first has no problem of the service's

    def proxy(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 " + next(statuses) + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with listen(proxy) as listener:
        credential = Credential(credential_text(), new_id(), f"http://127.0.0.1:{listener.port}", None)  # type: ignore[arg-type]
        agent = Agent(Service(credential, new_id()), Reach(), 1)
        agent.free.acquire()
        agent.handle(pack_request(new_id(), OutboundRequest(method="GET", url="https://10.0.0.1/")))
    assert len(listener.requests) == 2
    assert b"refused it with 413" in listener.requests[1]
