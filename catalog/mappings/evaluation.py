"""Evaluating JSONata in processes of its own: started when first needed, kept, and replaced when one goes wrong."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import orjson
import structlog

from core.errors import InvalidError, UnavailableError

log = structlog.get_logger("synqmgr.mappings")
SCRIPT = Path(__file__).with_name("evaluator.py")
WAIT = 10.0  # seconds on a busy machine; the evaluator itself stops an expression after half a second of processor time
LONGEST_ANSWER = 256 * 1024  # as a request's body: the output of one chain is the input of others
MOST_IDLE = 4


class MappingFailedError(InvalidError):
    """A mapping cannot be applied to this input: an expression fails, costs too much, or gives what is no object.

    Evaluating a chain may take half a second of processor time and 64 MiB.
    """

    slug = "mapping-failed"
    remedy = "Correct the expression at the place that the message names, or the data."


class _LostError(Exception):
    """The evaluator is gone or does not answer."""


class Evaluator:
    """One process that evaluates, one request at a time. It gets no environment, hence none of our secrets."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", str(SCRIPT)]
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    @property
    def _output(self) -> Any:
        return self._process.stdout

    def ask(self, request: bytes) -> bytes:
        """The answer to one request, both of one line."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise _LostError from error
        deadline, answer = time.monotonic() + WAIT, bytearray()
        while not answer.endswith(b"\n"):
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise _LostError
            piece = self._output.read1(65536)
            answer += piece
            if not piece:
                raise _LostError
            if len(answer) > LONGEST_ANSWER:
                raise MappingFailedError(f"the output has more than {LONGEST_ANSWER:,} bytes")
        return bytes(answer)

    def close(self) -> None:
        """Ends the process, with the fork that may still be at work."""
        self._selector.close()
        # What may fail: the process is gone already, and what was not written yet has nobody to read it.
        with contextlib.suppress(OSError), self._process:
            os.killpg(self._process.pid, signal.SIGKILL)


class Pool:
    """The processes that are not busy. There are as many as threads that evaluated at once, at most."""

    def __init__(self) -> None:
        self._idle: list[Evaluator] = []
        self._lock = threading.Lock()

    def ask(self, request: dict[str, Any]) -> Any:
        """The answer of an evaluator; a kept one that has died in the meantime is replaced once."""
        line = orjson.dumps(request)
        with self._lock:
            evaluator = self._idle.pop() if self._idle else None
        if evaluator is not None:
            try:
                return self._asked(evaluator, line)
            except _LostError:
                log.warning("evaluator_lost")
        try:
            return self._asked(Evaluator(), line)
        except _LostError as error:
            log.error("evaluator_failed")  # noqa: TRY400 - there is nothing in the traceback
            raise UnavailableError("mappings cannot be evaluated now", headers={"Retry-After": "1"}) from error

    def _asked(self, evaluator: Evaluator, line: bytes) -> Any:
        is_well = False
        try:
            answer = orjson.loads(evaluator.ask(line))
            is_well = True
        finally:
            with self._lock:
                is_kept = is_well and len(self._idle) < MOST_IDLE
                if is_kept:
                    self._idle.append(evaluator)
            if not is_kept:
                evaluator.close()
        return answer


POOL = Pool()
