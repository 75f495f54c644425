"""What the environment says, read strictly: whatever cannot be used stops the process with one line about it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

_FLAGS = {**dict.fromkeys(("true", "yes", "on", "1"), True), **dict.fromkeys(("false", "no", "off", "0"), False)}
_NUMBER = re.compile(r"[0-9]{1,9}\Z")
_HEADER = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*\Z")
_ADDRESS = re.compile(r"https?://[^/\s]+(/\S*)?\Z")
_DATABASES = ("postgres", "postgresql", "sqlite")


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """Ends the process with what is wrong, and without a traceback, where it was set up wrongly."""
    try:
        yield
    except ImproperlyConfigured as error:
        raise SystemExit(f"Refusing to start: {error}") from None


class Environment:
    """The variables by name. An empty one counts as not set; `NAME_FILE` names a file with the value instead."""

    def __init__(self, values: Mapping[str, str] = os.environ) -> None:
        self.values = values

    def text(self, name: str, default: str = "") -> str:
        path = self.values.get(f"{name}_FILE", "").strip()
        try:
            value = Path(path).read_text() if path else self.values.get(name, "")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ImproperlyConfigured(
                f"{name}_FILE: {path!r} cannot be read ({reason}). Name a file of text."
            ) from None
        return value.strip() or default

    def has(self, name: str) -> bool:
        return bool(self.text(name))

    def flag(self, name: str, *, default: bool) -> bool:
        text = self.text(name, str(default))
        if text.lower() not in _FLAGS:
            raise _refusal(name, text, "true or false")
        return _FLAGS[text.lower()]

    def number(self, name: str, default: int, *, least: int = 1, most: int = 1_000_000) -> int:
        text = self.text(name, str(default))
        if not _NUMBER.match(text) or not least <= int(text) <= most:
            raise _refusal(name, text, f"a whole number from {least} to {most}, such as {default}")
        return int(text)

    def items(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """What stands between commas."""
        return [part.strip() for part in self.text(name).split(",") if part.strip()] or list(default)

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        text = self.text(name, default)
        found = {each.lower(): each for each in choices}.get(text.lower())
        if found is None:
            raise _refusal(name, text, f"one of {', '.join(choices)}")
        return found

    def address(self, name: str, default: str) -> str:
        """Where browsers reach something, without a slash at its end."""
        text = self.text(name, default)
        if not _ADDRESS.match(text):
            raise _refusal(name, text, "an address such as https://api.example.com")
        return text.rstrip("/")

    def header(self, name: str, default: str) -> str:
        """A header, by the key that WSGI gives it."""
        text = self.text(name, default)
        if not _HEADER.match(text):
            raise _refusal(name, text, "the name of a header, of letters, digits and hyphens, such as Clientaddress")
        return f"HTTP_{text.upper().replace('-', '_')}"

    def networks(self, name: str) -> list[str]:
        texts = self.items(name)
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError:
                raise _refusal(name, text, "a network such as 10.20.0.0/16, with no bits set beyond its mask") from None
        return texts

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of the database with this URL, which is never shown: it may hold a password."""
        url = self.text(name, default)
        try:
            scheme, port = urlsplit(url).scheme, urlsplit(url).port
            found: dict[str, Any] = environ.Env.db_url_config(url) if scheme in _DATABASES and port != 0 else {}
        except ValueError:
            found = {}
        if not found.get("NAME"):
            raise ImproperlyConfigured(
                f"{name} is no address of a database of PostgreSQL or SQLite. Write "
                "postgres://user:password@host:5432/name, with what is no letter or digit in the password as %XX, "
                "or sqlite:///path."
            )
        return found

    def redis(self, name: str) -> str:
        """The address of a Redis, empty if there is none. It is never shown: it may hold a password."""
        url = self.text(name)
        try:
            if url:
                import_string("redis.connection.parse_url")(url)  # not loaded by those who have none
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} is not the address of a Redis. Write redis://host:6379/0 or "
                "rediss://user:password@host:6379/0."
            ) from None
        return url


def _refusal(name: str, value: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name}: {value[:100]!r} cannot be used. Write {wanted}.")
