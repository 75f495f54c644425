"""What an agent calls and what it refuses, by the entries it was started with."""

from __future__ import annotations

import pytest

from bridge.reach import Reach, ReachError
from core.outbound import OutboundRefusedError
from core.outbound.deadline import Deadline
from core.outbound.destination import parse_url


def reaches(url: str, *entries: str) -> bool:
    try:
        return bool(Reach.of(entries).find_addresses(parse_url(url), Deadline.after(5)))
    except OutboundRefusedError:
        return False


@pytest.mark.parametrize(
    ("url", "entries"),
    [
        ("https://10.1.2.3/x", ["10.0.0.0/8"]),
        ("http://10.1.2.3:8080", ["192.168.0.0/16", "10.1.2.3"]),
        ("https://[fd00::1]", ["fd00::/8"]),
        ("https://8.8.8.8", ["0.0.0.0/0"]),
        ("http://127.0.0.1:9", ["127.0.0.1/32"]),
        ("http://localhost", ["127.0.0.0/8", "::1"]),
    ],
)
def test_address__in_a_network_that_is_allowed__is_called(url: str, entries: list[str]) -> None:
    assert reaches(url, *entries)


@pytest.mark.parametrize(
    ("url", "entries"),
    [
        ("https://10.1.2.3", []),
        ("https://8.8.8.8", []),
        ("https://8.8.8.8", ["10.0.0.0/8"]),
        ("https://11.0.0.1", ["10.0.0.0/8"]),
        ("https://[::ffff:10.0.0.1]", ["10.0.0.0/8"]),
        ("http://127.0.0.1", ["10.0.0.0/8", "localhost"]),
        # A name that is allowed does not lead to the machine itself, unless its network is allowed too.
        ("http://localhost", ["localhost"]),
        ("http://localhost", ["10.0.0.0/8"]),
        ("http://localhost", ["*.localhost", "ocalhost", "*.host"]),
    ],
)
def test_address__not_allowed__is_refused(url: str, entries: list[str]) -> None:
    assert not reaches(url, *entries)


def test_name__that_is_allowed__may_lead_into_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver is no code of ours: what it says of these names is given here."""
    found = {"jira.corp.example": "10.0.0.7", "corp.example": "10.0.0.8", "meta.corp.example": "169.254.169.254"}

    def resolve(host: str, port: int, **_: object) -> object:
        return [(2, 1, 6, "", (found[host], port))]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    assert reaches("https://jira.corp.example", "JIRA.corp.example")
    assert reaches("https://jira.corp.example", "*.corp.example")
    assert reaches("https://jira.corp.example", "10.0.0.7")
    assert not reaches("https://corp.example", "*.corp.example")
    assert not reaches("https://jira.corp.example", "corp.example")
    assert not reaches("https://meta.corp.example", "*.corp.example")
    assert reaches("https://meta.corp.example", "169.254.169.254/32")


@pytest.mark.parametrize(
    "entry", ["10.0.0.1/8", "10.0.0", "*", "*.", "a*.b", "https://a.b", "a b", "", "1.2.3.4.5", "a/b"]
)
def test_entry__that_is_neither_network_nor_name__is_refused(entry: str) -> None:
    with pytest.raises(ReachError):
        Reach.of([entry])
