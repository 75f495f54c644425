"""Pages of custom providers: what asks for one, and where the next one is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from catalog.errors import UnexpectedAnswerError
from core.errors import InvalidError
from core.parsing import value_at

Paging = Mapping[str, Any]  # the `pagination` of an operation
LONGEST = 2048  # of a cursor
COUNTED = ("page", "offset")
_LINK = re.compile(r"<([^<>]*)>([^<]*)")  # RFC 8288: a target, and its parameters up to the next target
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)
LONGEST_HEADER = 8192  # of what is looked through for a link


def page_query(paging: Paging, cursor: str | None) -> dict[str, str]:
    """The query parameters that ask for a page: of the first one without a cursor."""
    style = paging.get("style")
    if style in COUNTED:
        return {paging["parameter"]: str(_number(paging, cursor))}
    if style == "cursor" and cursor is not None:
        return {paging["parameter"]: cursor}
    return {}


def _number(paging: Paging, cursor: str | None) -> int:
    """The page or offset that a cursor is."""
    if cursor is None:
        return paging.get("start", 1) if paging["style"] == "page" else 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 12):
        raise InvalidError("the cursor is not one that this operation gave")
    return int(cursor)


def find_next(paging: Paging, cursor: str | None, result: Any, *, body: Any, link: str) -> str | None:
    """The cursor of the next page, or none. `link` is the answer's Link header."""
    style = paging["style"]
    if style in COUNTED:
        items = len(result) if isinstance(result, list) else 0
        if items < paging.get("size", 1):
            return None
        return str(_number(paging, cursor) + (1 if style == "page" else items))
    found = _linked(link) if style == "link" else value_at(body, paging["at"])
    if found in (None, "", False):
        return None
    if isinstance(found, bool) or not isinstance(found, str | int) or len(str(found)) > LONGEST:
        raise UnexpectedAnswerError(f"What is at `{paging.get('at', 'Link')}` of the answer is no cursor.")
    return str(found)


def resolved(paging: Paging, found: str | None, url: str) -> str | None:
    """A next page that is an address, in full."""
    if found is None or paging["style"] not in ("url", "link"):
        return found
    try:
        return urljoin(url, found)
    except ValueError:
        raise UnexpectedAnswerError("What the answer names as its next page is no address.") from None


def _linked(header: str) -> str | None:
    return next((target for target, rest in _LINK.findall(header[:LONGEST_HEADER]) if _is_next(rest)), None)


def _is_next(parameters: str) -> bool:
    return any("next" in (quoted or plain).lower().split() for quoted, plain in _REL.findall(parameters))
