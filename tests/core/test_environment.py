"""The environment: what is not set has its default, and what cannot be used is refused by name in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from core.environment import Environment

Read = Callable[[Environment], Any]
NUMBER: Read = lambda env: env.number("X", 2, least=1, most=9)  # noqa: E731 - rows of the tables below
FLAG: Read = lambda env: env.flag("X", default=True)  # noqa: E731
ITEMS: Read = lambda env: env.items("X", ["a"])  # noqa: E731
CHOICE: Read = lambda env: env.choice("X", "INFO", ["DEBUG", "INFO"])  # noqa: E731
ADDRESS: Read = lambda env: env.address("X", "http://localhost:8000")  # noqa: E731
HEADER: Read = lambda env: env.header("X", "X-Forwarded-For")  # noqa: E731
NETWORKS: Read = lambda env: env.networks("X")  # noqa: E731
REDIS: Read = lambda env: env.redis("X")  # noqa: E731
DATABASE: Read = lambda env: env.database("X", "sqlite:////tmp/x.sqlite3")["NAME"]  # noqa: E731


@pytest.mark.parametrize(
    "read, unset, given, value",
    [
        (NUMBER, 2, " 9 ", 9),
        (FLAG, True, "False", False),
        (FLAG, True, "1", True),
        (ITEMS, ["a"], "b, c,,", ["b", "c"]),
        (CHOICE, "INFO", "debug", "DEBUG"),
        (ADDRESS, "http://localhost:8000", "https://a.example/", "https://a.example"),
        (HEADER, "HTTP_X_FORWARDED_FOR", "Clientaddress", "HTTP_CLIENTADDRESS"),
        (NETWORKS, [], "10.0.0.0/8,::1", ["10.0.0.0/8", "::1"]),
        (REDIS, "", "rediss://u:p@h:6380/1?socket_timeout=1", "rediss://u:p@h:6380/1?socket_timeout=1"),
        (DATABASE, "/tmp/x.sqlite3", "postgres://u:p%23@h:5432/d", "d"),
    ],
)
def test_variable__unset_empty_or_given__is_read(
    read: Read, unset: Any, given: str, value: Any, tmp_path: Path
) -> None:
    assert [read(Environment(values)) for values in ({}, {"X": ""}, {"X": " "}, {"X_FILE": ""})] == [unset] * 4
    file = tmp_path / "x"
    file.write_text(f"{given}\n")
    assert [read(Environment(values)) for values in ({"X": given}, {"X": "!", "X_FILE": str(file)})] == [value] * 2


@pytest.mark.parametrize(
    "read, given",
    [
        *((NUMBER, text) for text in ("x", "0", "10", "-1", "1.0", "1_0", "0x1", "\uff11", "9" * 30)),
        *((FLAG, text) for text in ("maybe", "2", "nope")),
        *((CHOICE, text) for text in ("LOUD", "INFO,DEBUG")),
        *((ADDRESS, text) for text in ("localhost:8000", "ftp://a.example", "https://", "https://a b")),
        *((HEADER, text) for text in ("X_Forwarded_For", "X-", "a b", "Ünter", ":")),
        *((NETWORKS, text) for text in ("10.0.0.1/8", "ten", "10.0.0.0/8,1.2.3", "::1/129")),
        *((REDIS, text) for text in ("host:6379", "http://u:hush@h", "redis://u:hush@h:x", "redis://h?db=hush")),
        *((DATABASE, text) for text in ("mysql://u:hush@h/d", "d", "postgres://u:hush@h", "postgres://u:hush#x@h:1/d")),
        *((DATABASE, text) for text in ("postgres://u:hush@h:70000/d", "postgres://[u:hush@h/d")),
    ],
)
def test_variable__malformed__is_refused_in_one_line(read: Read, given: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"\AX[: ].*Write ") as refused:
        read(Environment({"X": given}))
    assert "\n" not in str(refused.value)
    assert "hush" not in str(refused.value)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_file__not_there__is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name, why in (("none", "No such file"), ("bytes", "not UTF-8"), (".", "directory")):
        with pytest.raises(ImproperlyConfigured, match=rf"X_FILE: .*{why}"):
            Environment({"X_FILE": str(tmp_path / name)}).text("X")
