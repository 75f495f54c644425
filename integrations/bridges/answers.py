"""What an agent brings back, read as strictly as anything that comes from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import MalformedBodyError, ProblemError, ProviderFailedError, ProviderTimeoutError
from core.late import LateModule
from core.outbound import OutboundAnswer
from core.outbound.relay import FAILED, HEAD_BYTES, REFUSED, TIMEOUT, FrameError, unpack
from core.parsers import StrictJSONParser
from core.parsing import read_json

if TYPE_CHECKING:
    import httpx2
else:
    httpx2 = LateModule("httpx2")

ANSWER_BYTES = 1024 * 1024
LONGEST_MESSAGE = 500


class BridgeRefusedError(ProviderFailedError):
    """The agent of the bridge was not started with leave to call this address."""

    slug = "bridge-refused"
    remedy = "Have the agent started with `--allow` for the provider's address, or correct the address."


PROBLEMS: dict[str, type[ProblemError]] = {
    REFUSED: BridgeRefusedError,
    FAILED: ProviderFailedError,
    TIMEOUT: ProviderTimeoutError,
}


class AnswerParser(StrictJSONParser):
    """`application/octet-stream`: the frame of an answer, as it came."""

    media_type = "application/octet-stream"
    limit = 4 + HEAD_BYTES + ANSWER_BYTES

    def read(self, raw: bytes) -> bytes:
        return raw


def read_answer(raw: bytes) -> OutboundAnswer | ProblemError:
    """The provider's answer, or the problem that the agent had with it."""
    try:
        shown, body = unpack(raw)
    except FrameError as error:
        raise MalformedBodyError(f"the answer cannot be read: {error}") from error
    head = read_json(shown)
    if not isinstance(head, dict):
        raise MalformedBodyError("the head of the answer is no object")
    if "problem" in head:
        return _read_problem(head)
    status, headers, truncated = head.get("status"), head.get("headers"), head.get("truncated")
    if type(status) is not int or not 100 <= status <= 599 or not isinstance(truncated, bool):
        raise MalformedBodyError("the answer has no status, or does not say whether it is whole")
    if not isinstance(headers, list) or not all(map(_is_header, headers)):
        raise MalformedBodyError("the headers of the answer are not pairs of texts")
    pairs = [(name, value) for name, value in headers]
    return OutboundAnswer(status, httpx2.Headers(pairs, encoding="utf-8"), body, truncated)


def _is_header(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(text, str) for text in pair)


def _read_problem(head: dict[str, Any]) -> ProblemError:
    kind, message = head["problem"], head.get("message")
    if not isinstance(kind, str) or kind not in PROBLEMS or not isinstance(message, str):
        raise MalformedBodyError("the problem with the answer is of no known kind")
    return PROBLEMS[kind]("".join(c for c in message[:LONGEST_MESSAGE] if c.isprintable()))
