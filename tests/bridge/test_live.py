# mypy: disable-error-code="import-untyped"
# The published client ships no types.
"""Integrations behind a bridge: a real server that may call no loopback, real agents, a provider on loopback."""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from synqly.management.integrations import BridgeSelector_Id, BridgeSelector_Labels

from tests.bridge.agents import AgentProcess, eventually, running
from tests.catalog.provider_server import Answer, Asked, ProviderServer, serve
from tests.client.published import Published, new_name
from tests.client.test_real_provider import RIGHT, WRONG, answer, authorization, configured, doubts, inline
from tests.core.outbound_servers import listen, reply
from tests.server import Server, serving

LOOPBACK = ("--allow", "127.0.0.0/8")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It reaches no network but what is public."""
    with serving(
        tmp_path_factory.mktemp("bridged"), SYNQMGR_OUTBOUND_ALLOW="", WORKERS="2", SYNQMGR_BRIDGE_WAITS="3"
    ) as server:
        yield server


@pytest.fixture
def jira() -> Iterator[ProviderServer]:
    with serve(answer) as provider:
        yield provider


@dataclasses.dataclass(frozen=True)
class Site:
    """An account with a bridge into its network."""

    server: Server
    published: Published
    account: Any
    bridge: Any
    credential: str
    folder: Path

    def agent(self, *allow: str) -> Any:
        return running(self.folder, self.credential, "--service", self.server.url, *allow)

    def seen(self) -> list[Any]:
        agents: list[Any] = self.published.bridges.get_status(self.account.id, self.bridge.id).result
        return agents

    def wait_for_agent(self, agent: AgentProcess) -> None:
        eventually(lambda: self.seen() or agent.process is None or agent.process.poll() is not None)
        assert self.seen(), agent.log

    def verify(self, url: str, user: tuple[str, str] = RIGHT, selector: Any = None) -> list[str]:
        selector = selector or BridgeSelector_Id(value=self.bridge.id)
        integration = {"provider_config": configured(url, inline(user)), "bridge_selector": selector}
        return doubts(self.published.integrations.verify(self.account.id, integration=integration))


@pytest.fixture
def site(server: Server, tmp_path: Path) -> Site:
    published = Published(server.url, server.token)
    account = published.accounts.create(name=new_name("north")).result.account
    made = published.bridges.create(account.id, labels=["lab", "site:north"]).result
    return Site(server, published, account, made.bridge, made.credential, tmp_path)


def test_integration__behind_a_bridge__is_verified_through_its_agent(site: Site, jira: ProviderServer) -> None:
    assert site.verify(jira.url) == ["bridge-unavailable"]
    with site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        assert site.verify(jira.url) == []
        assert site.verify(jira.url, WRONG) == ["credential-rejected"]
        assert site.verify(jira.url, selector=BridgeSelector_Labels(value=["site:north", "lab"])) == []
        assert site.verify(jira.url, selector=BridgeSelector_Labels(value=["lab", "attic"])) == ["bridge-unavailable"]
        made = site.published.integrations.create(
            site.account.id,
            provider_config=configured(jira.url, inline(RIGHT)),
            bridge_selector=BridgeSelector_Id(value=site.bridge.id),
        )
        assert doubts(made) == []
        assert [asked.headers["Authorization"] for asked in jira.asked] == [
            authorization(user) for user in (RIGHT, WRONG, RIGHT, RIGHT)
        ]
        directly = {"provider_config": configured(jira.url, inline(RIGHT))}
        assert doubts(site.published.integrations.verify(site.account.id, integration=directly)) == ["outbound-refused"]
        assert agent.kill(signal.SIGTERM) == 0
    assert RIGHT[1] not in agent.log
    assert site.credential.rpartition(".")[2] not in site.server.log + agent.log


def test_status__of_a_running_agent__is_the_clients_model(site: Site, jira: ProviderServer) -> None:
    with site.agent(*LOOPBACK, "*.corp.example") as agent:
        site.wait_for_agent(agent)
        [seen] = site.seen()
        assert seen.local_config.allow_addresses == ["127.0.0.0/8", "*.corp.example"]
        assert (seen.local_stats.requests, seen.local_stats.failures) == (0, 0)
        assert seen.response_duration.endswith("ms")


@pytest.mark.parametrize("allow", [(), ("--allow", "10.0.0.0/8"), ("--allow", "*.example")])
def test_agent__address_not_allowed__refuses_and_calls_nobody(
    site: Site, jira: ProviderServer, allow: tuple[str, ...]
) -> None:
    with site.agent(*allow) as agent:
        site.wait_for_agent(agent)
        assert site.verify(jira.url) == ["bridge-refused"]
    assert jira.asked == []


def test_agent__killed_and_started_again__serves_again(site: Site, jira: ProviderServer) -> None:
    with site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        agent.kill()
        assert site.verify(jira.url) == ["provider-timeout"]
        agent.start()
        eventually(lambda: len(site.seen()) == 2)
        assert site.verify(jira.url) == []
    assert len(jira.asked) == 1


def test_agents__two_of_one_bridge__share_the_requests_and_repeat_none(site: Site, jira: ProviderServer) -> None:
    with site.agent(*LOOPBACK) as first, running(site.folder / "second", site.credential, *first.arguments[2:]):
        eventually(lambda: len(site.seen()) == 2)
        with ThreadPoolExecutor(3) as pool:
            found = [doubt for _ in range(4) for doubt in pool.map(lambda _: verify_alone(site, jira.url), range(3))]
        assert found == [[]] * 12
    assert len(jira.asked) == 12


def verify_alone(site: Site, url: str) -> list[str]:
    """By a client of its own, since one notes one exchange at a time."""
    return dataclasses.replace(site, published=Published(site.server.url, site.server.token)).verify(url)


def test_server__stopped_and_started_again__is_found_again(site: Site, jira: ProviderServer) -> None:
    with site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        site.server.kill()
        eventually(lambda: "cannot be reached" in agent.log)
        site.server.start()
        eventually(lambda: "answers again" in agent.log)
        assert site.verify(jira.url) == []


def test_bridge__deleted__ends_its_agent_and_lets_nothing_through(site: Site, jira: ProviderServer) -> None:
    with site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        made = site.published.integrations.create(
            site.account.id,
            provider_config=configured(jira.url, inline(RIGHT)),
            bridge_selector=BridgeSelector_Id(value=site.bridge.id),
        ).result.integration
        site.published.bridges.delete(site.account.id, site.bridge.id)
        assert agent.ended() == 1
        assert "not taken any more" in agent.log
    existing = site.published.integrations.verify_existing(site.account.id, made.id)
    assert doubts(existing) == ["bridge-unavailable"]
    assert len(jira.asked) == 1


def test_agent__of_another_account__gets_nothing(site: Site, server: Server, jira: ProviderServer) -> None:
    other = site.published.accounts.create(name=new_name("south")).result.account
    made = site.published.bridges.create(other.id, labels=["lab", "site:north"]).result
    theirs = Site(server, site.published, other, made.bridge, made.credential, site.folder / "theirs")
    with theirs.agent(*LOOPBACK) as agent:
        theirs.wait_for_agent(agent)
        assert site.verify(jira.url) == ["bridge-unavailable"]
        assert site.verify(jira.url, selector=BridgeSelector_Labels(value=["lab"])) == ["bridge-unavailable"]
        assert theirs.verify(jira.url) == []


def test_provider__answer_that_cannot_be_relayed__is_said_to_be_that(site: Site) -> None:
    long = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 70_000 + b"\r\nContent-Length: 2\r\n\r\n{}"
    with listen(reply(long)) as provider, site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        assert site.verify(f"http://127.0.0.1:{provider.port}") == ["provider-failed"]
        assert "cannot be relayed" in agent.log


def test_provider__slower_than_the_limit__is_a_timeout(site: Site) -> None:
    def dawdle(asked: Asked) -> Answer:
        time.sleep(9)
        return (200, {})

    with serve(dawdle) as slow, site.agent(*LOOPBACK) as agent:
        site.wait_for_agent(agent)
        assert site.verify(slow.url) == ["provider-timeout"]
