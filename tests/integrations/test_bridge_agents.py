"""What agents call: whose credential opens what, and what becomes of a request on its way."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import orjson
import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import OctKey

from core.columns import new_id
from core.errors import ProblemError
from core.outbound import OutboundAnswer, OutboundRequest
from core.outbound.relay import pack, unpack_request
from core.tenancy import scoped
from integrations.bridges import agents, credentials, relay
from integrations.bridges.models import BridgeAgent, BridgeRequest
from integrations.bridges.relay import BridgeSender, enqueue, wait_for_answer
from organizations.models import Organization
from tests.api import JSON, Api
from tests.contract.examples import parent_account
from tests.integrations.test_bridge import new_bridge, part_of

FRAME = "application/octet-stream"
REQUEST = OutboundRequest("POST", "https://jira.corp.example/x?q=hush", {"Authorization": "Bearer hush"}, b"hush")


class Agent:
    """One agent of a bridge, as it is on the wire."""

    def __init__(self, api: Api, bridge_id: str, credential: str) -> None:
        self.api, self.bridge_id, self.id = Api(api.id, credential), bridge_id, new_id()

    def tell(self, **told: Any) -> Any:
        status = {
            "current_time": "2026-01-31T12:00:00Z",
            "response_duration": "7ms",
            "local_config": {"version": "1.2.3", "allow_addresses": ["10.0.0.0/8"]},
            "local_stats": {"requests": 3, "failures": 1, "in_bytes": 20, "out_bytes": 10},
        }
        return self.api.post("/bridge/heartbeat", {"agent_id": self.id, "status": status | told})

    def take(self) -> Any:
        return self.api.post("/bridge/requests", {"agent_id": self.id})

    def bring(self, request_id: str, raw: bytes) -> Any:
        path = f"/bridge/requests/{request_id}/answer"
        return self.api.request("POST", path, raw, query={"agent_id": self.id}, content_type=FRAME)


def answered(status: int = 200, body: bytes = b"{}", **head: Any) -> bytes:
    return pack({"status": status, "headers": [["X-A", "1"]], "truncated": False, **head}, body)


@pytest.fixture
def agent(acme: Api) -> Agent:
    bridge, credential = new_bridge(acme, name="lab")
    return Agent(acme, bridge["id"], credential)


@pytest.fixture
def theirs(globex: Api) -> Agent:
    bridge, credential = new_bridge(globex, name="lab")
    return Agent(globex, bridge["id"], credential)


def status_of(api: Api, bridge_id: str) -> Any:
    return api.get(f"/v1/bridges/{parent_account(api)}/{bridge_id}/status").json()["result"]


def refused(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


# --- signing in ----------------------------------------------------------------------------------


def forged(credential: str, key: bytes, **claims: Any) -> str:
    return jwt.encode(part_of(credential, 0), part_of(credential, 1) | claims, OctKey.import_key(key))


def test_credential__forged_or_tampered__opens_nothing(acme: Api, agent: Agent, theirs: Agent) -> None:
    good, foreign = str(agent.api.token), str(theirs.api.token)
    header, claims, signature = good.split(".")
    their_header, their_claims, their_signature = foreign.split(".")
    for text in (
        f"{header}.{claims}.{signature[:-2]}AA",
        f"{header}.{their_claims}.{signature}",
        f"{header}.{their_claims}.{their_signature}",
        f"{their_header}.{claims}.{their_signature}",
        forged(good, b"k" * 32),
        f"{header}.{claims}.",
        "eyJhbGciOiJub25lIn0.e30.",
        "",
        "x" * 5000,
        "a.b.c",
        str(acme.token),
    ):
        assert refused(Api(acme.id, text).post("/bridge/requests", {"agent_id": agent.id}))[0] == 401, text
    assert agent.take().status_code == 204


def test_credential__on_the_management_api__opens_nothing(agent: Agent) -> None:
    assert agent.api.get("/v1/accounts").status_code == 401
    assert Api(agent.api.id).post("/bridge/heartbeat").status_code == 401


def test_credential__expired__opens_nothing(acme: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "LIVES", dt.timedelta(seconds=-61))
    bridge, credential = new_bridge(acme)
    assert refused(Agent(acme, bridge["id"], credential).take()) == (401, "bridge-credential")


def test_credential__of_a_deleted_bridge__opens_nothing_at_once(acme: Api, agent: Agent) -> None:
    assert agent.tell().status_code == 204
    acme.delete(f"/v1/bridges/{parent_account(acme)}/{agent.bridge_id}")
    new_bridge(acme, name="lab")
    for answer in (agent.tell(), agent.take(), agent.bring(new_id(), answered())):
        assert refused(answer) == (401, "bridge-credential")


def test_credential__of_a_disabled_organization__is_refused(acme: Api, agent: Agent) -> None:
    with scoped(acme.scope):
        Organization.objects.update(state="disabled")
    assert refused(agent.take()) == (402, "organization-disabled")


# --- status --------------------------------------------------------------------------------------


def test_status__agents_seen_in_the_last_minute__are_listed(acme: Api, agent: Agent) -> None:
    assert status_of(acme, agent.bridge_id) == []
    assert agent.tell().status_code == 204
    assert agent.tell(response_duration="9ms").status_code == 204
    [seen] = status_of(acme, agent.bridge_id)
    assert seen["current_time"] == "2026-01-31T12:00:00.000000Z"
    assert (seen["response_duration"], seen["local_config"]["version"]) == ("9ms", "1.2.3")
    assert seen["local_stats"] == {"requests": 3, "failures": 1, "in_bytes": 20, "out_bytes": 10}
    with scoped(acme.scope):
        BridgeAgent.objects.update(seen_at=timezone.now() - dt.timedelta(seconds=61))
    assert status_of(acme, agent.bridge_id) == []
    another = Agent(acme, agent.bridge_id, str(agent.api.token))
    assert another.tell().status_code == 204
    with scoped(acme.scope):
        assert [each.agent_id for each in BridgeAgent.objects.all()] == [another.id]


def test_heartbeat__of_one_agent_too_many__is_refused(acme: Api, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "MOST_AGENTS", 1)
    assert agent.tell().status_code == 204
    another = Agent(acme, agent.bridge_id, str(agent.api.token))
    assert refused(another.tell()) == (409, "too-many-agents")
    assert agent.tell().status_code == 204


@pytest.mark.parametrize(
    "told",
    [
        {"local_stats": {"requests": -1, "failures": 0, "in_bytes": 0, "out_bytes": 0}},
        {"local_config": {"version": "1", "allow_addresses": "10.0.0.0/8"}},
        {"local_config": {"version": "1", "allow_addresses": [], "vault": {str(i): "x" for i in range(21)}}},
        {"current_time": "now"},
        {"more": 1},
    ],
)
def test_heartbeat__malformed__is_refused(agent: Agent, told: dict[str, Any]) -> None:
    assert refused(agent.tell(**told))[0] == 400


@pytest.mark.parametrize("path", ["/bridge/heartbeat", "/bridge/requests"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", JSON, 400),
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b"null", JSON, 400),
        (b'{"agent_id": null}', JSON, 400),
        (b'{"agent_id": "x"}', JSON, 400),
        (b'{"agent_id": "\\u0000"}', JSON, 400),
        (b'{"agent_id": "' + b"x" * 300_000 + b'"}', JSON, 413),
        (b"x", FRAME, 415),
    ],
)
def test_agents_surface__whatever_is_sent__is_refused_with_a_problem(
    agent: Agent, path: str, body: bytes, content_type: str, status: int
) -> None:
    assert refused(agent.api.request("POST", path, body, content_type=content_type))[0] == status


def test_agents_surface__other_methods_and_queries__are_refused(agent: Agent) -> None:
    assert refused(agent.api.get("/bridge/requests")) == (405, "method-not-allowed")
    one = f"/bridge/requests/{new_id()}/answer"
    assert refused(agent.api.request("POST", one, answered(), query={"x": "1"}, content_type=FRAME))[0] == 400
    assert refused(agent.api.request("POST", one, b"", query={"agent_id": agent.id}))[0] == 400
    assert refused(agent.api.request("POST", one, answered(), query={"agent_id": "\x00"}, content_type=FRAME))[0] == 404
    assert refused(agent.api.post("/bridge"))[0] == 404


# --- requests ------------------------------------------------------------------------------------


def test_request__on_its_way__is_taken_once_and_answered_once(acme: Api, agent: Agent) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    another = Agent(acme, agent.bridge_id, str(agent.api.token))
    taken = agent.take()
    assert (taken.status_code, taken.headers["Content-Type"]) == (200, FRAME)
    request_id, request = unpack_request(taken.content)
    assert (request_id, request.method, request.url, request.body) == (row.id, "POST", REQUEST.url, b"hush")
    assert request.headers == REQUEST.headers
    assert 0 < request.limits.total < REQUEST.limits.total
    assert another.take().status_code == 204
    assert refused(another.bring(row.id, answered()))[0] == 404
    headers = [["X-A", "1"], ["X-Name", "Zoë"]]
    assert agent.bring(row.id, answered(201, b"done", headers=headers)).status_code == 204
    assert refused(agent.bring(row.id, answered(500)))[0] == 404
    with scoped(acme.scope):
        answer = wait_for_answer(row=row, request=REQUEST)
    assert (answer.status, answer.body, answer.headers["x-a"]) == (201, b"done", "1")
    assert answer.headers["x-name"] == "Zoë"


def test_request__in_the_database__holds_no_secret(acme: Api, agent: Agent) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    agent.take()
    agent.bring(row.id, answered(200, b"hush"))
    with scoped(acme.scope):
        stored = BridgeRequest.objects.get(id=row.id)
    assert b"hush" not in bytes(stored.request) + bytes(stored.answer or b"")
    assert stored.answer


def test_request__of_another_tenant_or_bridge__is_neither_taken_nor_answered(
    acme: Api, agent: Agent, theirs: Agent
) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    bridge, credential = new_bridge(acme)
    for other in (theirs, Agent(acme, bridge["id"], credential)):
        assert other.take().status_code == 204
        agent_id, other.id = other.id, agent.id
        agent.take()
        assert refused(other.bring(row.id, answered()))[0] == 404
        other.id = agent_id
    assert agent.bring(row.id, answered()).status_code == 204


def test_request__expired__is_not_taken_and_its_answer_comes_too_late(acme: Api, agent: Agent) -> None:
    with scoped(acme.scope):
        taken, waiting = (enqueue(bridge_id=agent.bridge_id, request=REQUEST) for _ in range(2))
    assert unpack_request(agent.take().content)[0] == taken.id
    with scoped(acme.scope):
        BridgeRequest.objects.update(expires_at=timezone.now())
    assert agent.take().status_code == 204
    assert refused(agent.bring(taken.id, answered()))[0] == 404
    for row, said in ((waiting, "took"), (taken, "brought no answer")):
        row.expires_at = timezone.now() + dt.timedelta(seconds=0.1)
        with scoped(acme.scope), pytest.raises(ProblemError, match=said) as late:
            wait_for_answer(row=row, request=REQUEST)
        assert (late.value.status, late.value.slug) == (504, "provider-timeout")
    with scoped(acme.scope):
        BridgeRequest.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=61))
    agent.tell()
    with scoped(acme.scope):
        assert not BridgeRequest.objects.exists()


@pytest.mark.parametrize(
    ("kind", "slug", "status"),
    [("refused", "bridge-refused", 502), ("failed", "provider-failed", 502), ("timeout", "provider-timeout", 504)],
)
def test_answer__that_is_a_problem__is_raised_as_such(
    acme: Api, agent: Agent, kind: str, slug: str, status: int
) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    agent.take()
    assert agent.bring(row.id, pack({"problem": kind, "message": "no\nway" + "x" * 600})).status_code == 204
    with scoped(acme.scope), pytest.raises(ProblemError, match="noway") as raised:
        wait_for_answer(row=row, request=REQUEST)
    assert (raised.value.slug, raised.value.status, len(str(raised.value))) == (slug, status, 499)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00",
        b"\xff\xff\xff\xff{}",
        pack([]),  # type: ignore[arg-type]
        (3).to_bytes(4, "big") + b"{]}",
        pack({}),
        answered(99),
        answered(True),
        answered(headers=[["a"]]),
        answered(headers="a"),
        answered(headers=[["a", 1]]),
        answered(truncated="no"),
        pack({"problem": "other", "message": ""}),
        pack({"problem": ["failed"], "message": ""}),
    ],
)
def test_answer__malformed__is_refused_and_may_be_brought_again(acme: Api, agent: Agent, raw: bytes) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    agent.take()
    assert refused(agent.bring(row.id, raw)) == (400, "malformed-body")
    assert agent.bring(row.id, answered()).status_code == 204


def test_answer__of_a_mebibyte__comes_through_and_a_larger_one_does_not(acme: Api, agent: Agent) -> None:
    with scoped(acme.scope):
        row = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    agent.take()
    assert refused(agent.bring(row.id, answered(body=b"x" * 1_300_000)))[0] == 413
    assert agent.bring(row.id, answered(body=b"x" * 1024 * 1024)).status_code == 204
    with scoped(acme.scope):
        assert len(wait_for_answer(row=row, request=REQUEST).body) == 1024 * 1024
    with scoped(acme.scope):
        again = enqueue(bridge_id=agent.bridge_id, request=REQUEST)
    agent.take()
    agent.bring(again.id, answered(body=b"x" * (1024 * 1024 + 1)))
    with scoped(acme.scope), pytest.raises(ProblemError, match="more than 1048576 bytes"):
        wait_for_answer(row=again, request=REQUEST)


@pytest.mark.parametrize("request_id", ["x", "%00", new_id()])
def test_answer__to_no_request__is_not_found(agent: Agent, request_id: str) -> None:
    assert refused(agent.bring(request_id, answered()))[0] == 404


def test_sender__too_many_waiting__says_busy(acme: Api, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.tell()
    sender = BridgeSender(parent_account(acme), {"type": "id", "value": agent.bridge_id})
    monkeypatch.setattr(relay, "MOST_WAITING", 1)
    with scoped(acme.scope):
        enqueue(bridge_id=agent.bridge_id, request=REQUEST)
        with pytest.raises(ProblemError, match="1 requests wait") as busy:
            sender(REQUEST)
        assert (busy.value.status, busy.value.slug) == (503, "bridge-busy")
        monkeypatch.setattr(relay, "_places", threading.BoundedSemaphore(1))
        with relay._places, pytest.raises(ProblemError, match="this process"):
            sender(REQUEST)


def test_sender__whatever_comes_of_it__leaves_no_row(acme: Api, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.tell()
    sender = BridgeSender(parent_account(acme), {"type": "id", "value": agent.bridge_id})

    def lost(**_: Any) -> OutboundAnswer:
        raise KeyboardInterrupt

    monkeypatch.setattr(relay, "wait_for_answer", lost)
    with scoped(acme.scope):
        with pytest.raises(KeyboardInterrupt):
            sender(REQUEST)
        assert not BridgeRequest.objects.exists()


def test_sender__labels__selects_only_bridges_with_all_of_them(acme: Api) -> None:
    bridge, credential = new_bridge(acme, labels=["a", "b"])
    new_bridge(acme, labels=["a"])
    Agent(acme, bridge["id"], credential).tell()

    def chosen(*labels: str) -> str | None:
        with scoped(acme.scope):
            try:
                return BridgeSender(parent_account(acme), {"type": "labels", "value": list(labels)}).choose()
            except relay.BridgeUnavailableError:
                return None

    assert chosen("a") == chosen("a", "b") == chosen("b", "b") == bridge["id"]
    assert chosen("a", "c") is None
    assert orjson.dumps(bridge["labels"]) == b'["a","b"]'
