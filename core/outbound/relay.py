"""Requests and answers as bytes, for whoever sends them from elsewhere: a head of JSON behind its length, the body."""

from __future__ import annotations

import dataclasses
from typing import Any

import orjson

from core.errors import ProblemError, ProviderTimeoutError
from core.outbound.client import Limits, OutboundAnswer, OutboundRequest
from core.outbound.destination import OutboundRefusedError

HEAD_BYTES = 192 * 1024
REFUSED, FAILED, TIMEOUT = "refused", "failed", "timeout"  # why there is no answer


class FrameError(ValueError):
    """The bytes are not what the other side should have sent."""


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    shown = orjson.dumps(head)
    return len(shown).to_bytes(4, "big") + shown + body


def unpack(raw: bytes) -> tuple[bytes, bytes]:
    """The head, still as JSON, and the body."""
    size = int.from_bytes(raw[:4], "big")
    if len(raw) < 4 + size or size > HEAD_BYTES:
        raise FrameError("the head is cut short or too long")
    return raw[4 : 4 + size], raw[4 + size :]


def pack_request(request_id: str, request: OutboundRequest) -> bytes:
    head = {
        "id": request_id,
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "verify": request.verify,
        "limits": dataclasses.asdict(request.limits),
    }
    return pack(head, request.body)


def unpack_request(raw: bytes) -> tuple[str, OutboundRequest]:
    """The request and its id."""
    try:
        shown, body = unpack(raw)
        head = orjson.loads(shown)
        request = OutboundRequest(
            method=head["method"],
            url=head["url"],
            headers=head["headers"],
            body=body,
            verify=head["verify"],
            limits=Limits(**head["limits"]),
        )
        return str(head["id"]), request
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise FrameError("the request cannot be read") from error


def pack_answer(answer: OutboundAnswer) -> bytes:
    head = {"status": answer.status, "headers": answer.headers.multi_items(), "truncated": answer.truncated}
    return pack(head, answer.body)


def pack_problem(problem: ProblemError) -> bytes:
    kinds = {OutboundRefusedError: REFUSED, ProviderTimeoutError: TIMEOUT}
    return pack({"problem": kinds.get(type(problem), FAILED), "message": problem.message})
