"""Preconditions: `ETag`, `If-Match` and `If-None-Match`, all made from `updated_at`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.errors import InvalidError, Parameter, PreconditionFailedError

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"')

_ONLY_DIGITS = str.maketrans("", "", "-:.TZ")  # of a time as the wire shows it


def entity_tag(updated_at: str) -> str:
    """The strong validator of an object as it was at this time."""
    return '"' + updated_at.translate(_ONLY_DIGITS) + '"'


def _tags(header: str, name: str) -> list[str]:
    if header.strip() == "*":
        return ["*"]
    tags = [part.strip() for part in header.split(",")]
    if not all(_TAG.fullmatch(tag) for tag in tags):
        raise InvalidError(f"`{name}` must be * or a list of quoted ETags", at=Parameter("header", name, header[:200]))
    return tags


def refuse_unless_matching(headers: Mapping[str, str], tag: str) -> None:
    """Raises 412 when `If-Match` is there and does not name the current ETag."""
    header = headers.get("If-Match")
    if header is not None and not {"*", tag} & set(_tags(header, "If-Match")):
        raise PreconditionFailedError(
            "the object has changed since it was read", at=Parameter("header", "If-Match", header[:200])
        )


def is_unchanged(headers: Mapping[str, str], tag: str) -> bool:
    """Whether `If-None-Match` names the current ETag: the answer is then 304."""
    header = headers.get("If-None-Match")
    return header is not None and bool({"*", tag} & {t.removeprefix("W/") for t in _tags(header, "If-None-Match")})
