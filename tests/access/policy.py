"""Who may do what, written by hand and independent of the code: the code is held to this, not this to the code."""

from __future__ import annotations

import dataclasses

# What an answer amounts to. `shown` and `hidden` say whether a list holds the object.
DONE, SHOWN, HIDDEN = "done", "shown", "hidden"
UNAUTHENTICATED, FORBIDDEN, ABSENT, INVALID, CONFLICT = "unauthenticated", "forbidden", "absent", "invalid", "conflict"
NOTHING = "-"  # the operation does not depend on such an object

# Whose object is acted on: of acme within the narrowing, of acme outside of it, of the neighbour, of nobody.
INSIDE, OUTSIDE, FOREIGN, MISSING = "inside", "outside", "foreign", "missing"
OBJECTS = (INSIDE, OUTSIDE, FOREIGN, MISSING)

EVERY = {"*"}
READ = {
    "list", "list_account", "list_events", "list_history", "get", "lookup", "timeseries", "integration_timeseries",
    "status",
}  # fmt: skip
CATALOG = {"capabilities": READ, "meta": READ}

GRANTS: dict[str, dict[str, set[str]]] = {
    "administrator": {"*": EVERY},
    "viewer": {"*": READ},
    "member": CATALOG | {"status": {"list", "get"}},
    "account-manager": CATALOG
    | {
        "accounts": EVERY,
        "credentials": EVERY,
        "integrations": EVERY,
        "integration_points": READ,
        "tokens": {
            "list",
            "get",
            "create",
            "create_integration",
            "delete",
            "reset",
            "rotate",
            "refresh",
            "remove_secondary",
        },
    },
    "connect-ui": CATALOG
    | {
        "accounts": {"get"},
        "credentials": {"create", "list", "get", "lookup", "delete"},
        "integrations": {"create", "verify", "list", "list_account", "get", "delete"},
        "integration_points": READ,
    },
    "token-issuer": CATALOG | {"tokens": {"create_integration"}},
    "account-provisioner": CATALOG | {"accounts": {"create"}},
    "narrowed to an account": {"*": EVERY},
    "narrowed to a label": {"*": EVERY},
    "narrowed to an environment": {"*": EVERY},
    "narrowed to a category": {"*": EVERY},
    "token of an integration": {},
    "token of an MCP client": {},
    "session of a member": CATALOG | {"auth": {"change_password", "logoff"}, "status": {"list", "get"}},
    "sub-organization": {"*": EVERY},
    "neighbour": {"*": EVERY},
    "refresh secret of a token": {"tokens": {"refresh"}},
    "expired": {},
    "nobody": {},
}
PRINCIPALS = tuple(GRANTS)
REFRESH_SECRET = "refresh secret of a token"  # of the one inside, where tokens are acted on
NARROWED = {
    "narrowed to an account": "account",
    "narrowed to a label": "label",
    "narrowed to an environment": "environment",
    "narrowed to a category": "category",
}
# What a narrowing reaches, by resource. The organization itself and the catalog are whole for everyone.
REACHED = {
    "auth": set(),
    "audit": {"account", "label", "environment", "category"},
    "suborgs": set(),
    "accounts": {"account", "label", "environment"},
    "credentials": {"account", "label", "environment"},
    "bridges": {"account", "label", "environment"},
    "integrations": {"account", "label", "environment", "category"},
    "status": {"account", "label", "environment", "category"},
    "billing": set(),
    "integration_points": {"category"},
    "operations": {"account", "label", "environment", "category"},
    "tokens": {"account", "label", "environment"},
    "idp": set(),
    "organizations": set(),
    "webhooks": set(),
    "deliveries": {"account", "label", "environment", "category"},
    "members": set(),
    "mappings": set(),
    "customs": set(),
    "roles": set(),
    "permission_set": set(),
    "capabilities": set(),
    "meta": set(),
}
# What all accounts share is not changed by who reaches only some of them.
SHARED = {
    "suborgs": {"account", "label", "environment", "category"},
    "members": {"account", "label", "environment", "category"},
    "mappings": {"account", "label", "environment", "category"},
    "customs": {"account", "label", "environment", "category"},
    "roles": {"account", "label", "environment", "category"},
    "idp": {"account", "label", "environment", "category"},
    "organizations": {"account", "label", "environment", "category"},
    "webhooks": {"account", "label", "environment", "category"},
    "integration_points": {"account", "label", "environment"},
    "accounts": {"category"},  # they serve every category
    "bridges": {"category"},
    "credentials": {"category"},
    "tokens": {"category"},
}
NAMES_ACCOUNTS = {"tokens", "roles"}  # in the body, so that one out of reach does not exist there
CHANGES_NOTHING = {("mappings", "apply")}  # though it is a POST
HANDED_OUT = {("tokens", "create"), ("tokens", "create_integration")}  # a derived token is narrowed as its maker is


@dataclasses.dataclass(frozen=True)
class Rule:
    """One operation: what it needs, and how it meets an object."""

    resource: str
    verb: str
    # list, object, create (makes one at an address of no owner), below (makes one for an owner), whole,
    # session (what only members do, of themselves),
    # refresh (takes the refresh secret of the object as the bearer)
    kind: str
    reached_as: str = ""  # the resource whose narrowing counts, when it is another

    @property
    def reach(self) -> set[str]:
        return REACHED[self.reached_as or self.resource]


RULES = {
    "GET /v1/audit/organizations": Rule("audit", "list", "whole"),
    "GET /v1/organization": Rule("organizations", "get", "whole"),
    "PUT /v1/organization": Rule("organizations", "update", "whole"),
    "PATCH /v1/organization": Rule("organizations", "patch", "whole"),
    "GET /v1/organization/webhooks": Rule("webhooks", "list", "list"),
    "POST /v1/organization/webhooks": Rule("webhooks", "create", "create"),
    "GET /v1/organization/webhooks/{webhook_id}": Rule("webhooks", "get", "object"),
    "PUT /v1/organization/webhooks/{webhook_id}": Rule("webhooks", "update", "object"),
    "PATCH /v1/organization/webhooks/{webhook_id}": Rule("webhooks", "patch", "object"),
    "DELETE /v1/organization/webhooks/{webhook_id}": Rule("webhooks", "delete", "object"),
    "POST /v1/organization/webhooks/{webhook_id}/enable": Rule("webhooks", "update", "object"),
    "POST /v1/organization/webhooks/{webhook_id}/disable": Rule("webhooks", "update", "object"),
    "POST /v1/organization/webhooks/{webhook_id}/test": Rule("webhooks", "update", "object"),
    "POST /v1/organization/webhooks/{webhook_id}/recover": Rule("webhooks", "update", "object"),
    "GET /v1/organization/webhooks/{webhook_id}/deliveries": Rule("webhooks", "list", "list", "deliveries"),
    "GET /v1/organization/webhooks/{webhook_id}/deliveries/{delivery_id}": Rule(
        "webhooks", "get", "object", "deliveries"
    ),
    "POST /v1/organization/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": Rule(
        "webhooks", "update", "object", "deliveries"
    ),
    "GET /v1/tokens": Rule("tokens", "list", "list"),
    "POST /v1/tokens": Rule("tokens", "create", "create"),
    "GET /v1/tokens/{refresh_token_id}/info": Rule("tokens", "get", "object"),
    "DELETE /v1/tokens/{refresh_token_id}": Rule("tokens", "delete", "object"),
    "DELETE /v1/tokens/{refresh_token_id}/secondary": Rule("tokens", "remove_secondary", "object"),
    "PUT /v1/tokens/{refresh_token_id}/refresh": Rule("tokens", "refresh", "refresh"),
    "PUT /v1/tokens/{owner_id}/{refresh_token_id}/rotate": Rule("tokens", "rotate", "object"),
    "PUT /v1/tokens/{owner_id}/{refresh_token_id}/reset": Rule("tokens", "reset", "object"),
    "POST /v1/tokens/mcp": Rule("tokens", "create", "create"),
    "POST /v1/tokens/synqly-integrations": Rule("tokens", "create_synqly_integrations", "whole"),
    "POST /v1/tokens/{account_id}/{integration_id}": Rule("tokens", "create_integration", "object", "integrations"),
    "GET /v1/members": Rule("members", "list", "list"),
    "POST /v1/members": Rule("members", "create", "create"),
    "GET /v1/members/{member_id}": Rule("members", "get", "object"),
    "PUT /v1/members/{member_id}": Rule("members", "update", "object"),
    "PATCH /v1/members/{member_id}": Rule("members", "patch", "object"),
    "DELETE /v1/members/{member_id}": Rule("members", "delete", "object"),
    "GET /v1/roles": Rule("roles", "list", "list"),
    "POST /v1/roles": Rule("roles", "create", "create"),
    "GET /v1/roles/{role_id}": Rule("roles", "get", "object"),
    "PUT /v1/roles/{role_id}": Rule("roles", "update", "object"),
    "PATCH /v1/roles/{role_id}": Rule("roles", "patch", "object"),
    "DELETE /v1/roles/{role_id}": Rule("roles", "delete", "object"),
    "DELETE /v1/members/{member_id}/second_factor": Rule("members", "update", "object"),
    "POST /v1/auth/change_password": Rule("auth", "change_password", "session"),
    "POST /v1/auth/logoff": Rule("auth", "logoff", "session"),
    "POST /v1/auth/second_factor": Rule("auth", "change_password", "session"),
    "POST /v1/auth/second_factor/confirm": Rule("auth", "change_password", "session"),
    "POST /v1/auth/second_factor/remove": Rule("auth", "change_password", "session"),
    "GET /v1/mappings": Rule("mappings", "list", "list"),
    "POST /v1/mappings": Rule("mappings", "create", "create"),
    "POST /v1/mappings/apply": Rule("mappings", "apply", "whole"),
    "GET /v1/mappings/{mapping_id}": Rule("mappings", "get", "object"),
    "PUT /v1/mappings/{mapping_id}": Rule("mappings", "update", "object"),
    "PATCH /v1/mappings/{mapping_id}": Rule("mappings", "patch", "object"),
    "DELETE /v1/mappings/{mapping_id}": Rule("mappings", "delete", "object"),
    "GET /v1/mappings/{mapping_id}/versions": Rule("mappings", "get", "object"),
    "GET /v1/customs": Rule("customs", "list", "list"),
    "POST /v1/customs": Rule("customs", "create", "create"),
    "GET /v1/customs/schema": Rule("customs", "get", "whole"),
    "GET /v1/customs/{custom_id}": Rule("customs", "get", "object"),
    "PUT /v1/customs/{custom_id}": Rule("customs", "update", "object"),
    "PATCH /v1/customs/{custom_id}": Rule("customs", "patch", "object"),
    "DELETE /v1/customs/{custom_id}": Rule("customs", "delete", "object"),
    "GET /v1/suborgs": Rule("suborgs", "list", "list"),
    "POST /v1/suborgs": Rule("suborgs", "create", "create"),
    "GET /v1/suborgs/{organization_id}": Rule("suborgs", "get", "object"),
    "DELETE /v1/suborgs/{organization_id}": Rule("suborgs", "delete", "object"),
    "GET /v1/permissionsets": Rule("permission_set", "list", "whole"),
    "GET /v1/permissionsets/{permissionset_id}": Rule("permission_set", "get", "whole"),
    "GET /v1/auth/meta": Rule("idp", "get", "whole"),
    "GET /v1/auth/sso": Rule("idp", "get", "list"),
    "POST /v1/auth/sso": Rule("idp", "create", "create"),
    "GET /v1/auth/sso/{sso_id}": Rule("idp", "get", "object"),
    "PUT /v1/auth/sso/{sso_id}": Rule("idp", "update", "object"),
    "DELETE /v1/auth/sso/{sso_id}": Rule("idp", "delete", "object"),
    "GET /v1/accounts": Rule("accounts", "list", "list"),
    "POST /v1/accounts": Rule("accounts", "create", "create"),
    "GET /v1/accounts/{account_id}": Rule("accounts", "get", "object"),
    "PUT /v1/accounts/{account_id}": Rule("accounts", "update", "object"),
    "PATCH /v1/accounts/{account_id}": Rule("accounts", "patch", "object"),
    "DELETE /v1/accounts/{account_id}": Rule("accounts", "delete", "object"),
    "GET /v1/meta/openapi/engine": Rule("meta", "get", "whole"),
    "GET /v1/meta/openapi/management": Rule("meta", "get", "whole"),
    "GET /v1/capabilities/connectors": Rule("capabilities", "list", "whole"),
    "GET /v1/capabilities/providers": Rule("capabilities", "list", "whole"),
    "GET /v1/capabilities/providers/{provider_id}": Rule("capabilities", "get", "whole"),
    "GET /v1/credentials/lookup/{credential_id}": Rule("credentials", "lookup", "object"),
    "GET /v1/credentials/{owner_id}": Rule("credentials", "list", "list"),
    "POST /v1/credentials/{owner_id}": Rule("credentials", "create", "below"),
    "GET /v1/credentials/{owner_id}/{credential_id}": Rule("credentials", "get", "object"),
    "PUT /v1/credentials/{owner_id}/{credential_id}": Rule("credentials", "update", "object"),
    "PATCH /v1/credentials/{owner_id}/{credential_id}": Rule("credentials", "patch", "object"),
    "DELETE /v1/credentials/{owner_id}/{credential_id}": Rule("credentials", "delete", "object"),
    "GET /v1/bridges/{account_id}": Rule("bridges", "list", "list"),
    "POST /v1/bridges/{account_id}": Rule("bridges", "create", "below"),
    "GET /v1/bridges/{account_id}/{bridge_id}": Rule("bridges", "get", "object"),
    "PUT /v1/bridges/{account_id}/{bridge_id}": Rule("bridges", "update", "object"),
    "PATCH /v1/bridges/{account_id}/{bridge_id}": Rule("bridges", "patch", "object"),
    "DELETE /v1/bridges/{account_id}/{bridge_id}": Rule("bridges", "delete", "object"),
    "GET /v1/bridges/{account_id}/{bridge_id}/status": Rule("bridges", "status", "object"),
    "GET /v1/integration-points": Rule("integration_points", "list", "list"),
    "POST /v1/integration-points": Rule("integration_points", "create", "create"),
    "GET /v1/integration-points/{integration_point_id}": Rule("integration_points", "get", "object"),
    "PUT /v1/integration-points/{integration_point_id}": Rule("integration_points", "update", "object"),
    "PATCH /v1/integration-points/{integration_point_id}": Rule("integration_points", "patch", "object"),
    "DELETE /v1/integration-points/{integration_point_id}": Rule("integration_points", "delete", "object"),
    "GET /v1/jobs": Rule("operations", "list", "list"),
    "GET /v1/jobs/history": Rule("operations", "list_history", "list"),
    "GET /v1/integrations": Rule("integrations", "list", "list"),
    "GET /v1/integrations/{account_id}": Rule("integrations", "list_account", "list"),
    "POST /v1/integrations/{account_id}": Rule("integrations", "create", "below"),
    "POST /v1/integrations/{account_id}/verify": Rule("integrations", "verify", "below"),
    "GET /v1/integrations/{account_id}/{integration_id}": Rule("integrations", "get", "object"),
    "PUT /v1/integrations/{account_id}/{integration_id}": Rule("integrations", "update", "object"),
    "PATCH /v1/integrations/{account_id}/{integration_id}": Rule("integrations", "patch", "object"),
    "DELETE /v1/integrations/{account_id}/{integration_id}": Rule("integrations", "delete", "object"),
    "POST /v1/integrations/{account_id}/{integration_id}/verify": Rule("integrations", "verify", "object"),
    "GET /v1/billing": Rule("billing", "list", "whole"),
    "GET /v1/billing/export": Rule("billing", "list", "whole"),
    "GET /v1/billing/{organization_id}/{month}": Rule("billing", "get", "object"),
    "GET /v1/status": Rule("status", "list", "list"),
    "GET /v1/status/timeseries": Rule("status", "timeseries", "whole"),
    "GET /v1/status/{account_id}/{integration_id}": Rule("status", "get", "object"),
    "PUT /v1/status/{account_id}/{integration_id}": Rule("status", "reset", "object"),
    "GET /v1/status/{account_id}/{integration_id}/events": Rule("status", "list_events", "object"),
    "GET /v1/status/{account_id}/{integration_id}/timeseries": Rule("status", "integration_timeseries", "object"),
}
# The docs, the probes, the operator's metrics with a key of their own, what browsers sign in by, and what the agents of
# bridges call with a credential of theirs.
OPEN_TO_ALL = (
    "/bridge/heartbeat",
    "/bridge/requests",
    "/bridge/requests/<str:request_id>/answer",
    "/v1/auth/exchange",
    "/v1/auth/logon/<str:organization_id>",
    "/v1/auth/oidc/callback",
    "/v1/auth/saml/acs",
    "/v1/auth/saml/metadata",
    "/v1/auth/saml/metadata/<str:sso_id>",
    "/v1/auth/sso/<str:sso_id>/start",
    "/docs",
    "/livez",
    "/metrics",
    "/openapi.yaml",
    "/problems",
    "/problems/<slug:slug>",
    "/readyz",
    "/redoc",
)

ROTATE = "PUT /v1/tokens/{owner_id}/{refresh_token_id}/rotate"
RESET = "PUT /v1/tokens/{owner_id}/{refresh_token_id}/reset"
END = "DELETE /v1/tokens/{refresh_token_id}"
END_SECONDARY = f"{END}/secondary"
OWN_ACCOUNT = "POST /v1/tokens/synqly-integrations"
DELIVERIES = "GET /v1/organization/webhooks/{webhook_id}/deliveries"
EXCEPTIONS = {
    # The webhook is everybody's, and what it was told of those out of reach is left out.
    **{(principal, DELIVERIES, OUTSIDE): HIDDEN for principal in NARROWED},
    # Only a root organization has organizations below it.
    **{("sub-organization", "POST /v1/suborgs", kind): FORBIDDEN for kind in (INSIDE, OUTSIDE)},
    # There is no second factor to confirm, and the code is not one of it.
    ("session of a member", "POST /v1/auth/second_factor/confirm", INSIDE): CONFLICT,
    ("session of a member", "POST /v1/auth/second_factor/remove", INSIDE): FORBIDDEN,
    # The token is seen, but it will be good for its account even when that has lost the label or environment.
    **{
        (f"narrowed to {part}", operation, INSIDE): FORBIDDEN
        for part in ("a label", "an environment")
        for operation in (ROTATE, RESET, END, END_SECONDARY)
    },
    # The organization's own account is none of these.
    ("narrowed to an account", OWN_ACCOUNT, INSIDE): FORBIDDEN,
    ("narrowed to a label", OWN_ACCOUNT, INSIDE): FORBIDDEN,
    ("narrowed to an environment", OWN_ACCOUNT, INSIDE): FORBIDDEN,
    # A new account never is the one account that the token is good for.
    ("narrowed to an account", "POST /v1/accounts", INSIDE): FORBIDDEN,
    # The body names a mapping of the organization above.
    ("sub-organization", "POST /v1/mappings/apply", INSIDE): INVALID,
    # The account is in reach, only the integration point in the body is not.
    ("narrowed to a category", "POST /v1/integrations/{account_id}", OUTSIDE): INVALID,
    ("narrowed to a category", "POST /v1/integrations/{account_id}/verify", OUTSIDE): INVALID,
    ("narrowed to a category", "GET /v1/integrations/{account_id}", OUTSIDE): HIDDEN,
}


def expected(principal: str, operation: str, subject: str) -> str:
    """What the answer must amount to."""
    rule = RULES[operation]
    if not matters(rule, operation, subject):
        return NOTHING
    if principal in ("nobody", "expired") or (principal == REFRESH_SECRET) != (rule.kind == "refresh"):
        return UNAUTHENTICATED
    if not is_granted(principal, rule):
        return FORBIDDEN
    if (principal, operation, subject) in EXCEPTIONS:
        return EXCEPTIONS[principal, operation, subject]
    if is_in_reach(principal, rule, subject):
        return SHOWN if rule.kind == "list" else DONE
    return out_of_reach(rule, operation)


def matters(rule: Rule, operation: str, subject: str) -> bool:
    """Whether the operation can be asked about such an object."""
    if rule.kind == "create":
        return subject in (INSIDE, OUTSIDE) or (rule.resource in NAMES_ACCOUNTS and subject == FOREIGN)
    if rule.kind == "list" and "{" not in operation:
        return subject != MISSING
    return rule.kind not in ("whole", "session") or subject == INSIDE


def is_granted(principal: str, rule: Rule) -> bool:
    """Whether the permission set has the verb, and the narrowing leaves what is shared alone."""
    granted = GRANTS[principal].get("*", set()) | GRANTS[principal].get(rule.resource, set())
    if rule.kind == "session" and principal != "session of a member":
        return False
    if not {"*", rule.verb} & granted:
        return False
    if rule.verb in READ or (rule.resource, rule.verb) in HANDED_OUT | CHANGES_NOTHING:
        return True
    return NARROWED.get(principal) not in SHARED.get(rule.resource, set())


def is_in_reach(principal: str, rule: Rule, subject: str) -> bool:
    """Whether the object is there for the principal."""
    if rule.kind == "refresh":
        return subject == INSIDE
    if rule.kind in ("whole", "session"):
        return True
    if principal == "sub-organization":
        return rule.kind == "create" and rule.resource not in NAMES_ACCOUNTS
    if principal == "neighbour":
        return subject == FOREIGN or (rule.kind == "create" and rule.resource not in NAMES_ACCOUNTS)
    if subject == OUTSIDE and principal in NARROWED:
        return NARROWED[principal] not in rule.reach
    return subject in (INSIDE, OUTSIDE)


def out_of_reach(rule: Rule, operation: str) -> str:
    """How it is told that the object is not there: as for one that does not exist."""
    if rule.kind == "list" and "{" not in operation:
        return HIDDEN
    if rule.kind == "create":  # what is made would lie out of reach; a token names accounts that do
        return INVALID if rule.resource in NAMES_ACCOUNTS else FORBIDDEN
    return ABSENT
