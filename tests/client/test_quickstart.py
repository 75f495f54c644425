"""docs/quickstart.md, run as it is written, on a server as it is installed."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, serving

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quickstart.md"
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has used: the page shows what it answers."""
    with serving(tmp_path) as server:
        yield server


def blocks() -> list[tuple[int, str, str]]:
    """The page's code blocks: line, language and text."""
    page = PAGE.read_text(encoding="utf-8")
    return [(page.count("\n", 0, m.start("text")) + 1, m["language"], m["text"]) for m in _BLOCK.finditer(page)]


def run(line: int, language: str, text: str, names: dict[str, Any]) -> str:
    """What a block prints. A failure shows the line of the page."""
    if language == "sh":
        return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, timeout=30).stdout + "\n"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (line - 1) + text, str(PAGE), "exec"), names)
    return printed.getvalue()


def test_quickstart__every_block_in_order__prints_what_the_page_shows(
    fresh_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNQMGR_URL", fresh_server.url)
    monkeypatch.setenv("SYNQMGR_TOKEN", fresh_server.token)
    names: dict[str, Any] = {"__name__": "quickstart"}
    printed, ran = "", 0
    for line, language, text in blocks():
        if language == "text":
            assert printed == text, f"{PAGE.name}, line {line}: the block above it prints {printed!r}"
            printed = ""
        elif language in ("python", "sh"):
            assert printed == "", f"{PAGE.name}, line {line}: what the block before it prints is not shown: {printed!r}"
            printed, ran = run(line, language, text, names), ran + 1
        else:
            assert language == "console", f"{PAGE.name}, line {line}: a block of {language!r}, which is not run"
    assert (printed, ran > 20) == ("", True)
