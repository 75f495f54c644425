"""The agent's calls to the service it belongs to."""

from __future__ import annotations

import ssl
import time
from typing import Any

import httpx2

from bridge import VERSION
from bridge.credential import Credential

SECONDS = 10.0  # for a call to be answered


class ServiceError(Exception):
    """The service did not do what it was asked; it may later."""


class RevokedError(ServiceError):
    """The service does not take the credential any more, and never will again."""


class UnfitError(ServiceError):
    """The service does not take this answer, and never will."""


class TooLargeError(UnfitError):
    """The service, or a proxy in front of it, takes no answer of this size."""


class GoneError(ServiceError):
    """Nobody waits for the answer any more."""


class Service:
    """One agent's connection to the service. Proxies of the environment are used, redirects are not followed."""

    def __init__(self, credential: Credential, agent_id: str) -> None:
        self.agent_id = agent_id
        self.client = httpx2.Client(
            base_url=credential.service,
            headers={"Authorization": f"Bearer {credential.text}", "User-Agent": f"synqmgr-bridge/{VERSION}"},
            timeout=SECONDS,
            follow_redirects=False,
            verify=ssl.create_default_context(),  # the authorities that `core.outbound` trusts, too
        )

    def tell(self, status: dict[str, Any]) -> None:
        """A heartbeat."""
        self._post("/bridge/heartbeat", json={"agent_id": self.agent_id, "status": status})

    def take(self) -> tuple[bytes | None, float]:
        """A request that waits, if there is one, and how many seconds it took to say so."""
        started = time.monotonic()
        answer = self._post("/bridge/requests", json={"agent_id": self.agent_id})
        return answer.content if answer.status_code == 200 else None, time.monotonic() - started

    def bring(self, request_id: str, raw: bytes) -> None:
        """The answer to a request."""
        self._post(
            f"/bridge/requests/{request_id}/answer",
            params={"agent_id": self.agent_id},
            content=raw,
            headers={"Content-Type": "application/octet-stream"},
        )

    def close(self) -> None:
        self.client.close()

    def _post(self, path: str, **sent: Any) -> httpx2.Response:
        try:
            answer = self.client.post(path, **sent)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise ServiceError(f"the service cannot be reached ({type(error).__name__}: {error})") from error
        if answer.status_code in (200, 204):
            return answer
        kinds = {400: UnfitError, 401: RevokedError, 404: GoneError, 413: TooLargeError}
        raise kinds.get(answer.status_code, ServiceError)(_said(answer))


def _said(answer: httpx2.Response) -> str:
    """What the service said is wrong, in its own words when it is a problem of its."""
    try:
        message = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        message = "no problem of the service's; is this its address?"
    return f"the service answered {answer.status_code}: {message[:300]}"
