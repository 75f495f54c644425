"""System checks: what a production service must be told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from core.roles import may_act_as_tenant


def check_root_keys(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    if not settings.PRODUCTION:
        return []
    if "SYNQMGR_KEY_FILE" in settings.EXPLICIT:
        return []
    if "SYNQMGR_ROOT_KEYS" in settings.EXPLICIT and settings.ROOT_KEYS:
        return []
    return [
        checks.Error(
            "Production needs root keys of its own, kept apart from the database.",
            hint="Set SYNQMGR_KEY_FILE (then run `manage.py create_keys`) or SYNQMGR_ROOT_KEYS.",
            id="core.E001",
        )
    ]


def check_allowed_hosts(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    if not settings.PRODUCTION:
        return []
    hosts = settings.ALLOWED_HOSTS
    if "SYNQMGR_ALLOWED_HOSTS" in settings.EXPLICIT and hosts and "*" not in hosts:
        return []
    return [
        checks.Error(
            "Production needs the host names it answers to.",
            hint="Set SYNQMGR_ALLOWED_HOSTS to a comma-separated list of host names, without `*`.",
            id="core.E002",
        )
    ]


def check_debug(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    if not (settings.PRODUCTION and settings.DEBUG):
        return []
    return [
        checks.Error(
            "Debug mode is on in production; it shows internals to callers.",
            hint="Remove SYNQMGR_DEBUG from the environment.",
            id="core.E003",
        )
    ]


def check_public_url(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[checks.CheckMessage]:
    """Identity providers and browsers are told this address; without single sign-on nobody is."""
    told = "SYNQMGR_PUBLIC_URL" in settings.EXPLICIT or bool(settings.RETURN_TO)
    if not (settings.PRODUCTION and told) or settings.PUBLIC_URL.startswith("https://"):
        return []
    return [
        checks.Error(
            "In production browsers must reach the service by https: whoever signs on sends it what is secret.",
            hint="Set SYNQMGR_PUBLIC_URL to the address that browsers use, such as https://api.example.com.",
            id="core.E007",
        )
    ]


def check_tenant_role(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[checks.CheckMessage]:
    """Run by `migrate`, and by `check --database default`."""
    missing: list[checks.CheckMessage] = []
    for alias in databases or ():
        database = connections[alias]
        if database.vendor != "postgresql" or settings.ROW_SECURITY == "off" or may_act_as_tenant(database):
            continue
        kind, number = (checks.Error, "E006") if settings.ROW_SECURITY == "on" else (checks.Warning, "W001")
        role = settings.TENANT_ROLE
        missing.append(
            kind(
                f"Row level security is off: the login role cannot act as the role {role!r}.",
                hint=f"As a superuser: CREATE ROLE {role} NOLOGIN; GRANT {role} TO <login role>; then run `migrate`.",
                id=f"core.{number}",
            )
        )
    return missing


CHECKS = (check_root_keys, check_allowed_hosts, check_debug, check_public_url)


def register() -> None:
    """Run the checks with every management command. Call it from the app's `ready`."""
    for check in CHECKS:
        checks.register(check, checks.Tags.security)
    checks.register(check_tenant_role, checks.Tags.database)


def refuse_unsafe_settings() -> None:
    """The same checks for a server, which runs no management command."""
    errors = [error for check in CHECKS for error in check(None)]
    if errors:
        raise ImproperlyConfigured(" ".join(f"{error.msg} {error.hint}" for error in errors))
