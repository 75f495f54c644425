"""The process that evaluates JSONata: apart from the service, without its secrets, and killed when it costs too much.

Run as a script by `catalog.mappings.evaluation`. It reads requests of one line and forks for each: whatever an
expression does to the fork's memory ends with it, so nothing of one tenant is there for the next. The kernel stops
a fork by its processor time and its memory, in Python and in C alike. Nothing of Django is imported here.
"""

from __future__ import annotations

import contextlib
import gc
import mmap
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import re2
from jsonata import Jsonata
from jsonata.jexception import JException
from jsonata.regex_engine import CompiledPattern, RegexFlags
from jsonata.utils import Utils

CPU_SECONDS = 0.5
MEMORY = 64 * 1024 * 1024  # beyond what the process has at its start
STACK = 150  # calls of JSONata in each other
FRAMES = 4_000  # of Python: JSONata's own parser and evaluator recurse
MAX_MESSAGE = 300
MAX_ERRORS = 50
PLACE_BYTES = 512
UNDEFINED: Any = object()

_GROUP = re.compile(r"\\g<(\d+)>")


class EvaluationError(Exception):
    """An expression is wrong, or fails on this input. The place is where it stands in its document."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(message)
        self.place = place


class Pattern:
    """A pattern of RE2, whose time is linear in the text, as jsonata-python wants one."""

    def __init__(self, pattern: str, flags: RegexFlags) -> None:
        options = re2.Options()
        options.case_sensitive = not flags.case_insensitive
        options.log_errors = False
        options.max_mem = 1024 * 1024
        self._pattern = re2.compile(f"(?m){pattern}" if flags.multiline else pattern, options)

    def search(self, string: str) -> Any:
        return self._pattern.search(string)

    def finditer(self, string: str) -> Any:
        return self._pattern.finditer(string)

    def split(self, string: str, maxsplit: int = 0) -> list[str]:
        pieces: list[str] = self._pattern.split(string, maxsplit)
        return pieces

    def sub(self, repl: Any, string: str, count: int = 0) -> str:
        """Says of a group that is not there what `re` says: the library looks for these words."""
        for found in _GROUP.finditer(repl) if isinstance(repl, str) else ():
            if int(found[1]) > self._pattern.groups:
                raise re.error(f"invalid group reference {found[1]} at position {found.start()}")
        replaced: str = self._pattern.sub(repl, string, count)
        return replaced


def compile_pattern(pattern: str, flags: RegexFlags) -> CompiledPattern:
    return Pattern(pattern, flags)


def leaves(document: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The expressions of a document with their places (JSON Pointer)."""
    if isinstance(document, str):
        yield place, document
    for name, inner in _members(document):
        yield from leaves(inner, f"{place}/{str(name).replace('~', '~0').replace('/', '~1')}")


def _members(document: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(document, dict):
        yield from document.items()
    elif isinstance(document, list):
        yield from enumerate(document)


class Evaluation:
    """One request, in a process of its own. `progress` is where it stands, for whoever finds it dead."""

    def __init__(self, progress: mmap.mmap) -> None:
        self.progress = progress

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if "check" in request:
            return {"errors": self.check(request["check"])}
        value = request["data"]
        for number, document in enumerate(request["documents"]):
            value = self.apply(document, value, number)
        return {"value": value}

    def check(self, document: Any) -> list[list[str]]:
        """What is wrong with a document's expressions before any input is there."""
        errors: list[list[str]] = []
        for place, expression in leaves(document):
            try:
                self.compiled(expression, f"0{place}")
            except EvaluationError as error:
                errors.append([place, str(error)])
                if len(errors) == MAX_ERRORS:
                    break
        return errors

    def apply(self, document: Any, value: Any, number: int) -> Any:
        """One step of a chain, whose output is the next one's input."""
        output = self.built(document, value, str(number))
        if not isinstance(output, dict):
            raise EvaluationError(str(number), "gives no object")
        return output

    def built(self, document: Any, value: Any, place: str) -> Any:
        """A document with its expressions replaced by their values. What is undefined is left out."""
        if isinstance(document, str):
            return self.evaluated(document, value, place)
        if isinstance(document, dict):
            members = {n: self.built(d, value, f"{place}/{_escaped(n)}") for n, d in document.items()}
            return {name: each for name, each in members.items() if each is not UNDEFINED}
        if isinstance(document, list):
            items = (self.built(d, value, f"{place}/{i}") for i, d in enumerate(document))
            return [each for each in items if each is not UNDEFINED]
        return document

    def compiled(self, expression: str, place: str) -> Jsonata:
        self.progress[:PLACE_BYTES] = place.encode()[:PLACE_BYTES].ljust(PLACE_BYTES, b"\0")
        with _explained(place):
            compiled = Jsonata(expression, compile_pattern, None, STACK)
        if compiled.errors:
            raise EvaluationError(place, _shortened(compiled.errors[0]))
        compiled.set_output_convert_nulls(False)  # else null and undefined are the same
        return compiled

    def evaluated(self, expression: str, value: Any, place: str) -> Any:
        compiled = self.compiled(expression, place)
        with _explained(place):
            found = compiled.evaluate(value, {})
            return UNDEFINED if found is None else _plain(found, place)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Whatever the library raises is the expression's fault: many of its errors are Python's own."""
    try:
        yield
    except (EvaluationError, MemoryError):
        raise
    except RecursionError:
        raise EvaluationError(place, "is nested too deep") from None
    except Exception as error:  # noqa: BLE001
        raise EvaluationError(place, _shortened(error)) from None


def _shortened(error: object) -> str:
    if isinstance(error, JException):
        text = error.get_detailed_error_message() if hasattr(error, "get_detailed_error_message") else str(error)
    else:
        text = f"cannot be evaluated ({error})"
    return str(text)[:MAX_MESSAGE]


def _plain(value: Any, place: str, depth: int = 0) -> Any:
    """A result as JSON: the library's own lists and nulls become plain ones."""
    if value is Utils.NULL_VALUE or value is None:
        return None
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise EvaluationError(place, "gives a number that does not fit 64 bits")
        return value
    if depth > 64:
        raise EvaluationError(place, "gives values that are nested too deep")
    if isinstance(value, dict):
        return {str(name): _plain(inner, place, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(inner, place, depth + 1) for inner in value]
    raise EvaluationError(place, "gives a function, which is no JSON")


# --- processes ---------------------------------------------------------------------------------------


def limit_process(memory: int) -> None:
    """What the kernel holds this process to from now on. A timer that runs out ends it: no handler is set."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)


def run(line: bytes, progress: mmap.mmap, memory: int) -> bytes:
    """The fork's work: the answer to one request."""
    limit_process(memory)
    try:
        return orjson.dumps(Evaluation(progress).answer(orjson.loads(line)))
    except EvaluationError as error:
        return failure(error.place.encode(), str(error))
    except MemoryError:
        return failure(progress[:PLACE_BYTES], "needs too much memory")
    except (orjson.JSONEncodeError, RecursionError, UnicodeError):
        return failure(progress[:PLACE_BYTES], "gives what is no JSON")


def died(status: int, progress: mmap.mmap) -> bytes:
    """The answer in place of a fork that the kernel stopped."""
    is_time = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
    return failure(progress[:PLACE_BYTES], "takes too long" if is_time else "needs too much memory")


def failure(place: bytes, message: str) -> bytes:
    return orjson.dumps({"place": place.rstrip(b"\0").decode(errors="ignore"), "failure": message})


def virtual_size() -> int:
    """The bytes of this process's address space; on systems that do not say, a generous guess."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 30


def serve(requests: Any, answers: int) -> None:
    """Answers each line with a line, until there are no more."""
    progress = mmap.mmap(-1, PLACE_BYTES)
    memory = virtual_size() + MEMORY
    gc.freeze()  # else the forks copy every page that a collection touches
    for line in requests:
        progress[:PLACE_BYTES] = bytes(PLACE_BYTES)
        pid = os.fork()
        if pid == 0:
            answer = run(line, progress, memory)
            signal.setitimer(signal.ITIMER_PROF, 0)  # half an answer would be taken for a whole one
            write(answers, answer + b"\n")
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            write(answers, died(status, progress) + b"\n")


def write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    sys.setrecursionlimit(FRAMES)  # the library sets a higher one when it is imported
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.fileno())
