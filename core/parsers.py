"""The parsers of request bodies, built on the strict reader."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any
from urllib.parse import parse_qsl

from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser

from core.errors import MalformedBodyError, Parameter, TooLargeError
from core.parsing import MAX_BYTES, check_json, read_json, too_large

MAX_FIELDS = 50  # of a form

EMPTY: Mapping[str, Any] = MappingProxyType({})
"""No body: reads as an object without members."""


class StrictJSONParser(BaseParser):
    """`application/json` through the strict reader. No bytes at all give `EMPTY`."""

    media_type = "application/json"
    limit = MAX_BYTES

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        request = (parser_context or {}).get("request")
        # A body in chunks has no length of its own: what stands for it is the limit, see core.middleware.
        meta = {} if request is None else request.META
        declared = "" if "HTTP_TRANSFER_ENCODING" in meta else str(meta.get("CONTENT_LENGTH") or "")
        length = int(declared[:19]) if declared.isascii() and declared.isdigit() else None
        if length is not None and length > self.limit:
            raise TooLargeError(too_large(self.limit), at=Parameter("header", "Content-Length"))
        raw = self._read(stream)
        if length is not None and len(raw) < length:
            raise MalformedBodyError("Send as many bytes as `Content-Length` declares.", at=Parameter("body", ""))
        return self.read(raw) if raw else EMPTY

    def read(self, raw: bytes) -> Any:
        return read_json(raw, limit=self.limit)

    def _read(self, stream: IO[bytes]) -> bytes:
        """All of the stream, but at most one byte more than is allowed."""
        chunks: list[bytes] = []
        left = self.limit + 1
        try:
            while left and (chunk := stream.read(left)):
                chunks.append(chunk)
                left -= len(chunk)
        except UnreadablePostError as error:
            raise MalformedBodyError("Send the whole body.", at=Parameter("body", "")) from error
        return b"".join(chunks)


class FormParser(StrictJSONParser):
    """`application/x-www-form-urlencoded`, each member once: an object of texts."""

    media_type = "application/x-www-form-urlencoded"

    def read(self, raw: bytes) -> Any:
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise MalformedBodyError("Send an URL-encoded form in UTF-8.", at=Parameter("body", "")) from error
        members = dict(pairs)
        if len(members) < len(pairs):
            raise MalformedBodyError("Send each member of a form once.", at=Parameter("body", ""))
        check_json(members)
        return members


class PatchParser(StrictJSONParser):
    """`application/json-patch+json`: the same reader; `core.patch` judges what it holds."""

    media_type = "application/json-patch+json"
