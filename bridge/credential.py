"""The credential as the agent reads it. Only the service can check its signature; the agent needs what it says."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import ipaddress
import json
from pathlib import Path
from urllib.parse import urlsplit


class CredentialError(Exception):
    """The file or the address cannot be used. The message says why, never what the file holds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Credential:
    """What the agent signs in with, and where."""

    text: str = dataclasses.field(repr=False)
    bridge_id: str
    service: str
    expires: dt.datetime


def read_credential(path: Path, service: str = "") -> Credential:
    """The credential in a file. `service` is the address to call when it is not the one that the service gave."""
    try:
        text = path.read_text("ascii").strip()
        _, payload, _ = text.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        address = (service or str(claims["iss"])).rstrip("/")
        expires = dt.datetime.fromtimestamp(int(claims["exp"]), dt.UTC)
        credential = Credential(text, str(claims["sub"]), address, expires)
    except OSError as error:
        raise CredentialError(f"{path} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError):
        raise CredentialError(f"{path} does not hold the credential of a bridge as the service showed it") from None
    refuse_unsafe(credential.service)
    return credential


def refuse_unsafe(service: str) -> None:
    """Raises unless the service is called by https, or is on this very machine."""
    url = urlsplit(service)
    if url.scheme == "https" and url.hostname:
        return
    if url.scheme == "http" and _is_loopback(url.hostname or ""):
        return
    raise CredentialError(f"{service!r} is no https address: the agent calls plain http on its own machine only")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
