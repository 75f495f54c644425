"""Pages of custom providers: what asks for the next one, where they end, and what must not be followed."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from catalog.customs.calls import call_operation
from catalog.errors import UnexpectedAnswerError
from core.errors import InvalidError
from core.outbound import OutboundRefusedError, OutboundRequest
from tests.catalog.definitions import with_operation
from tests.catalog.ways import URL, Script, Way, always, call, connect, each_page

ITEMS = [["a", "b"], ["c", "d"], ["e"]]


def pages_by(style: dict[str, Any], script: Script, response: str = "/items") -> tuple[list[Any], list[str]]:
    way = Way(script)
    definition = with_operation(pagination=style, response=response, query={"q": "x"})
    found = [page.result for page in each_page(connect(definition, way))]
    return found, [sent.url.removeprefix(f"{URL}/call?") for sent in way.sent]


def parameter(request: OutboundRequest, name: str) -> str | None:
    found: str | None = httpx2.URL(request.url).params.get(name)
    return found


def test_pages__by_number__end_with_an_empty_or_short_one() -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        number = int(parameter(request, "page") or 0)
        return 200, {"items": ITEMS[number - 1] if number <= 3 else []}, {}

    found, asked = pages_by({"style": "page", "parameter": "page"}, script)
    assert (found, asked) == ([*ITEMS, []], ["q=x&page=1", "q=x&page=2", "q=x&page=3", "q=x&page=4"])
    found, asked = pages_by({"style": "page", "parameter": "page", "size": 2}, script)
    assert (found, len(asked)) == (ITEMS, 3)


def test_pages__by_offset__count_the_items() -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        return 200, {"items": list("abcde")[int(parameter(request, "skip") or 0) :][:2]}, {}

    found, asked = pages_by({"style": "offset", "parameter": "skip", "size": 2}, script)
    assert (found, asked) == (ITEMS, ["q=x&skip=0", "q=x&skip=2", "q=x&skip=4"])


@pytest.mark.parametrize("end", [None, "", "absent"])
def test_pages__by_cursor__end_without_one(end: str | None) -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        at = int(parameter(request, "after") or 0)
        meta = {"next": at + 1} if at < 2 else {} if end == "absent" else {"next": end}
        return 200, {"items": ITEMS[at], "meta": meta}, {}

    found, asked = pages_by({"style": "cursor", "parameter": "after", "at": "/meta/next"}, script)
    assert (found, asked) == (ITEMS, ["q=x", "q=x&after=1", "q=x&after=2"])


@pytest.mark.parametrize("prefix", ["https://desk.example", "", "https://DESK.example:443"])
@pytest.mark.parametrize("style", [{"style": "url", "at": "/next"}, {"style": "link"}], ids=["url", "link"])
def test_pages__by_address__are_followed_as_they_are_at_the_same_host(style: dict[str, str], prefix: str) -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        at = int(parameter(request, "at") or 0)
        following = f"{prefix}/api/call?at={at + 1}&z=%26&z=%20&y" if at < 2 else None
        link = f'<{URL}?x>; rel="prev", <{following}>; title="a, b"; rel="last next"' if following else ""
        return 200, {"items": ITEMS[at], "next": following}, {"Link": link}

    found, asked = pages_by(style, script)
    assert found == ITEMS
    assert [url.partition("?")[2] or url for url in asked] == ["q=x", "at=1&z=%26&z=%20&y", "at=2&z=%26&z=%20&y"]


def test_pages__by_address_with_a_key_in_the_query__have_it_once() -> None:
    def script(request: OutboundRequest) -> tuple[int, Any, dict[str, str]]:
        following = f"{request.url}&at=1" if "at=" not in request.url else None
        return 200, {"items": [1], "next": following}, {}

    way = Way(script)
    definition = with_operation(pagination={"style": "url", "at": "/next"}, response="/items")
    connection = connect(definition | {"auth": {"token": {"scheme": "query", "name": "key"}}}, way)
    assert [page.result for page in each_page(connection)] == [[1], [1]]
    assert [sent.url for sent in way.sent] == [f"{URL}/call?key=right", f"{URL}/call?at=1&key=right"]


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/call?at=1",
        "http://desk.example/call?at=1",
        "https://desk.example:8443/call",
        "//evil.example/call",
        "https://desk.example@evil.example/",
        "https://desk.example\\@evil.example/",
        "javascript:alert(1)",
        "https://127.0.0.1/",
    ],
)
def test_pages__next_address_elsewhere__gets_no_credential(following: str) -> None:
    way = always({"items": [1], "next": following})
    definition = with_operation(pagination={"style": "url", "at": "/next"}, response="/items")
    pages = each_page(connect(definition, way))
    assert next(pages).result == [1]
    with pytest.raises((UnexpectedAnswerError, OutboundRefusedError)):
        next(pages)
    assert len(way.sent) == 1


def test_pages__that_lead_nowhere__end() -> None:
    style = {"style": "cursor", "parameter": "after", "at": "/next"}
    definition = with_operation(pagination=style, response="/items")
    for wrong in ([1], {"a": 1}, True, 1.5, "x" * 5000):
        with pytest.raises(UnexpectedAnswerError):
            call(always({"items": [], "next": wrong}), definition)


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "\u0661", "9" * 13])
def test_page__cursor_that_is_no_number__is_refused(cursor: str) -> None:
    connection = connect(with_operation(pagination={"style": "page", "parameter": "p"}), always([]))
    with pytest.raises(InvalidError):
        call_operation(connection=connection, operation="call", cursor=cursor)
