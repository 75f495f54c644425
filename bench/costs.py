"""Inside one process of the service: queries per request, and sealing against a bare cipher. Prints JSON."""

from __future__ import annotations

import json
import os
import sys
import timeit
from contextlib import closing
from typing import Any

import django
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from core.columns import new_id  # noqa: E402
from core.crypto.hierarchy import organization_key  # noqa: E402
from core.crypto.sealing import Place, _seal_under, seal  # noqa: E402
from core.tenancy import Scope, scoped  # noqa: E402

CONTROL = ("BEGIN", "COMMIT")


def count_queries(token: str) -> dict[str, int]:
    """Statements of each request, its token's look-up included; BEGIN and COMMIT are not queries.

    The first change of a process also reads keys, which it keeps: it is made before anything is counted.
    """
    client = Client(headers={"Authorization": f"Bearer {token}", "Host": "localhost"})
    client.post("/v1/accounts", data={"name": f"bench-{new_id()}"}, content_type="application/json")
    page = client.get("/v1/accounts").json()["result"]
    body = {"name": f"bench-{new_id()}", "environment": "test"}
    labelled = {**body, "name": f"bench-{new_id()}", "labels": ["one", "two"]}
    asked: dict[str, tuple[Any, ...]] = {
        "list": (client.get, "/v1/accounts"),
        "list of 1000": (client.get, "/v1/accounts?limit=1000"),
        "get": (client.get, f"/v1/accounts/{page[0]['id']}"),
        "create": (client.post, "/v1/accounts", body),
        "create with labels": (client.post, "/v1/accounts", labelled),
    }
    return {name: _count(*parts) for name, parts in asked.items()}


def _count(method: Any, path: str, body: Any = None) -> int:
    with CaptureQueriesContext(connection) as queries:
        answer = method(path, data=body, content_type="application/json") if body else method(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answers {answer.status_code}: {answer.content[:300]!r}")
    return sum(not query["sql"].startswith(CONTROL) for query in queries)


def time_sealing(organization_id: str) -> dict[str, float]:
    """Microseconds to seal 1 KB: the bare cipher, the envelope with the key in hand, and all with reading the key."""
    place = Place(organization_id, "account", new_id(), new_id(), 1)
    plaintext, key = os.urandom(1024), os.urandom(32)
    opened = organization_key(organization_id=organization_id)

    def bare() -> bytes:
        return AESGCM(key).encrypt(os.urandom(12), plaintext, b"place")

    def envelope() -> bytes:
        return _seal_under(opened, place, plaintext)

    def full() -> bytes:
        return seal(place, plaintext)

    calls = {"bare": bare, "envelope": envelope, "seal": full}
    return {name: _microseconds(call) for name, call in calls.items()}


def _microseconds(call: Any) -> float:
    return min(timeit.repeat(call, number=20, repeat=300)) / 20 * 1e6


if __name__ == "__main__":
    given = json.load(sys.stdin)
    with closing(connection):
        queries = count_queries(given["token"])
        with scoped(Scope(given["organization_id"])):  # whose keys no other scope sees
            print(json.dumps({"queries": queries, "sealing": time_sealing(given["organization_id"])}))
