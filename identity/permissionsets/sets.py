"""The permission sets, as one table. A change here changes `docs/access-matrix.txt`."""

from __future__ import annotations

from django.db import models

from core.permissions import Grants


class Permissions(models.TextChoices):
    """The sets' names, as the contract spells them."""

    ADMINISTRATOR = "administrator"
    VIEWER = "viewer"
    MEMBER = "member"
    ACCOUNT_MANAGER = "account-manager"
    CONNECT_UI = "connect-ui"
    TOKEN_ISSUER = "token-issuer"  # noqa: S105 - a name, not a secret
    MCP_INTEGRATIONS_USE_ONLY = "mcp-integrations-use-only"
    MCP_MANAGEMENT = "mcp-management"
    ACCOUNT_PROVISIONER = "account-provisioner"


MCP_SETS = (Permissions.MCP_INTEGRATIONS_USE_ONLY, Permissions.MCP_MANAGEMENT)
PROVISIONABLE = (Permissions.ACCOUNT_MANAGER, Permissions.CONNECT_UI, Permissions.TOKEN_ISSUER)

ANY = "*"  # every verb; in a list of resources, every one of them
_ALL = frozenset({ANY})
_READ = frozenset({"list", "get"})
_MCP_USAGE = frozenset({"integration-usage"})  # the verbs on `mcp` are the scopes of that surface
_CATALOG = {"capabilities": _READ, "meta": _READ}

PERMISSION_SETS: dict[str, Grants] = {
    Permissions.ADMINISTRATOR: {"all": _ALL},
    Permissions.VIEWER: {"all": frozenset({"read"}), **_CATALOG},
    Permissions.MEMBER: {"auth": _ALL, "status": frozenset({"list", "get"}), **_CATALOG},
    Permissions.ACCOUNT_MANAGER: {
        "accounts": _ALL,
        "credentials": _ALL,
        "integrations": _ALL,
        "integration_points": _READ,
        "tokens": frozenset(
            {
                "list",
                "get",
                "create",
                "create_integration",
                "delete",
                "reset",
                "rotate",
                "refresh",
                "remove_secondary",
            }
        ),
        "mcp": frozenset({"developer", "integration-usage"}),
        **_CATALOG,
    },
    Permissions.CONNECT_UI: {
        "accounts": frozenset({"get"}),
        "credentials": frozenset({"create", "list", "get", "lookup", "delete"}),
        "integrations": frozenset({"create", "verify", "list", "list_account", "get", "delete"}),
        "integration_points": _READ,
        **_CATALOG,
    },
    Permissions.TOKEN_ISSUER: {"tokens": frozenset({"create_integration"}), **_CATALOG},
    Permissions.ACCOUNT_PROVISIONER: {
        "accounts": frozenset({"create"}),
        "tokens": frozenset({"provision"}),
        **_CATALOG,
    },
    Permissions.MCP_INTEGRATIONS_USE_ONLY: {"mcp": _MCP_USAGE},
    Permissions.MCP_MANAGEMENT: {"mcp": _MCP_USAGE | {"developer", "management"}},
}

# Integrations with their tokens and credentials are what an account has: a set that acts on them can be held to some.
RESTRICTABLE: dict[str, tuple[str, ...]] = {
    name: () if name == Permissions.MEMBER else ("accounts", "integrations") for name in PERMISSION_SETS
}
DESCRIPTIONS: dict[str, str] = {
    Permissions.ADMINISTRATOR: "Everything.",
    Permissions.VIEWER: "Reading everything but secrets.",
    Permissions.MEMBER: "Logging on, the own profile, and the status of integrations.",
    Permissions.ACCOUNT_MANAGER: "Accounts with their integrations, credentials and tokens.",
    Permissions.CONNECT_UI: "Creating, verifying, reading and deleting the integrations and credentials of accounts.",
    Permissions.TOKEN_ISSUER: "Tokens for integrations, and nothing else.",
    Permissions.ACCOUNT_PROVISIONER: "Creating accounts, each with a token.",
    Permissions.MCP_INTEGRATIONS_USE_ONLY: "Using the integrations of an account over MCP.",
    Permissions.MCP_MANAGEMENT: "The management API over MCP.",
}
