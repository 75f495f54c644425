"""What the service reaches, and from where it is reached."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from core.limits.counts import shared_counts
from core.limits.file import FileStore
from core.outbound.deadline import Deadline
from core.outbound.destination import look_up, parse_url
from core.outbound.networks import parse_networks
from synqmgr.doctor.findings import Finding, failed, ok, warning

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
PORTS = {"amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}
STORE_REMEDIES = {
    "redis": "Start it, or correct SYNQMGR_REDIS_URL: the database counts meanwhile.",
    "table": "Start the database and run `manage.py migrate`: nothing is limited meanwhile.",
}
PATIENCE = 5.0  # seconds
WIDE = {4: 8, 6: 32}  # a network of fewer bits is hardly meant


def check_limits(options: object) -> Iterator[Finding]:
    """Asks each store for a count under a name of the doctor's own."""
    counts = shared_counts()
    try:
        for store in counts.stores:
            if isinstance(store, FileStore):
                continue  # the disk was looked at; a file made by whoever runs this might not be the service's
            try:
                store.add("doctor", 1, 1)
            except store.errors as error:
                said = f"the {store.name} store does not answer ({type(error).__name__})"
                yield warning("limits", said, STORE_REMEDIES[store.name])
            else:
                yield ok("limits", f"the {store.name} store answers")
    finally:
        counts.close()


def check_broker(options: object) -> Iterator[Finding]:
    url = getattr(settings, "CELERY_BROKER_URL", "")
    if not url:
        yield ok("broker", "none is set: workers look for themselves")
        return
    for each in url.split(";"):
        parts = urlsplit(each.strip())
        host, port = parts.hostname or "localhost", parts.port or PORTS.get(parts.scheme, 5672)
        try:
            socket.create_connection((host, port), timeout=PATIENCE).close()
        except OSError as error:
            said = f"{host}:{port} does not answer ({error.strerror or type(error).__name__})"
            yield failed("broker", said, "Start the broker, or correct CELERY_BROKER_URL.")
        else:
            yield ok("broker", f"{host}:{port} answers")


def check_outbound(options: Any) -> Iterator[Finding]:
    name = "outbound"
    try:
        addresses = look_up(parse_url(f"https://{options.host}"), Deadline.after(PATIENCE))
        yield ok(name, f"{options.host} is {', '.join(sorted(map(str, set(addresses)))[:3])}")
    except (TimeoutError, OSError) as error:
        said = f"{options.host} is not found ({error.strerror if isinstance(error, OSError) else 'no answer'})"
        yield warning(name, said, "Set up a name server, or look up a name that this machine should know by --host.")
    networks = parse_networks(tuple(settings.OUTBOUND_ALLOW))
    wide = [str(network) for network in networks if network.prefixlen < WIDE[network.version]]
    if wide:
        yield warning(name, f"allowed although not public: {', '.join(wide)}", "Narrow SYNQMGR_OUTBOUND_ALLOW.")
    else:
        listed = ", ".join(map(str, networks)) or "none"
        yield ok(name, f"networks allowed although not public: {listed}")
    if ignored := [proxy for proxy in PROXIES if os.environ.get(proxy) or os.environ.get(proxy.lower())]:
        remedy = "Requests for tenants go straight out; let the firewall allow it."
        yield warning(name, f"{', '.join(ignored)} is set and not used", remedy)


def check_public_url(options: object) -> Iterator[Finding]:
    name, url = "public URL", settings.PUBLIC_URL
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        yield failed(name, f"{url!r} is no address", "Set SYNQMGR_PUBLIC_URL to https://and the host name.")
    elif not validate_host(host, settings.ALLOWED_HOSTS):
        yield warning(name, f"{url}, whose host the service does not answer to", "Add it to SYNQMGR_ALLOWED_HOSTS.")
    elif settings.PRODUCTION and parts.scheme == "http":
        yield warning(name, f"{url} is not encrypted", "Put TLS in front and set SYNQMGR_PUBLIC_URL to https://.")
    else:
        yield ok(name, url)
