"""The token, and its secrets as rows to look up."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel
from identity.members.models import Member, SecondFactorRule


class TokenOwnerType(models.TextChoices):
    ORGANIZATION = "organization"
    INTEGRATION = "integration"


class TokenType(models.TextChoices):
    ADHOC = "adhoc"
    LOGON = "logon"
    DEFAULT = "default"


class Surface(models.TextChoices):
    """Which API a token opens."""

    MANAGEMENT = "management"
    CONNECTORS = "connectors"
    MCP = "mcp"


class Token(Resource):
    """A token: a primary and sometimes a secondary pair of an access and a refresh secret.

    `grants` is the chain of links from this token to the first of its line, each a list of permission sets
    with resources; a request must pass one of each link, so a token never exceeds its parent. A member's own
    token has no link: it passes what the member's roles grant when it is used, as do all derived from it.
    `networks` are those (CIDR) to ask from, narrowed to the parent's when it was made; any when there are none.
    `pairs` is what is shown of the secrets: public ids and times. `claims` is shown as it is.
    """

    resource_type = "token"
    account_column = "account_id"
    reserved_names = frozenset({"mcp", "synqly-integrations"})

    owner_type = TextColumn(max_length=16, choices=TokenOwnerType.choices)
    owner_id = IdColumn()
    account_id = IdColumn(null=True)
    member = models.ForeignKey(Member, models.CASCADE, null=True, related_name="+", db_index=False)
    parent_id = IdColumn(null=True)
    surface = TextColumn(max_length=16, choices=Surface.choices)
    token_type = TextColumn(max_length=16, choices=TokenType.choices)
    token_ttl = TextColumn(max_length=24)  # of each access secret
    refresh_ttl = TextColumn(max_length=24)  # of each refresh secret
    expires = InstantColumn()
    grants = JsonColumn()
    networks = JsonColumn(null=True, default=None)
    second_factor = TextColumn(
        max_length=16, choices=SecondFactorRule.choices, default=SecondFactorRule.ORGANIZATION
    )  # of the member's session that it is or comes from
    sso_id = IdColumn(null=True, default=None)  # of the configuration that the session was opened by
    pairs = JsonColumn()
    claims = JsonColumn(default=dict)
    used_at = InstantColumn(null=True, default=None)  # to some minutes
    used_from = TextColumn(max_length=45, null=True, default=None)  # the address

    class Meta:
        constraints = [named_once("token")]
        indexes = [
            *sorted_by("token", "created_at", "expires"),
            models.Index(fields=["owner_id"], name="token_by_owner"),
            models.Index(fields=["parent_id"], name="token_by_parent"),
            models.Index(fields=["member"], name="token_by_member"),
            models.Index(fields=["sso_id"], name="token_by_sso", condition=models.Q(sso_id__isnull=False)),
        ]


class Slot(models.TextChoices):
    PRIMARY = "primary"
    SECONDARY = "secondary"
    DROPPED = "dropped"


class TokenSecret(TenantModel):
    """One secret of a token: looked up by its public id, known only by its keyed hash.

    Slots: `primary`, then `secondary` when the pair is replaced, then `dropped` or deleted. Only refresh
    secrets are kept as `dropped`, until they would have expired and so many of each token: whoever uses one has
    kept a copy.
    """

    public_id = TextColumn(max_length=16, primary_key=True)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    token = models.ForeignKey(Token, models.CASCADE, related_name="secrets")
    slot = TextColumn(max_length=16, choices=Slot.choices)
    kind = TextColumn(max_length=16)  # access or refresh
    digest = models.BinaryField(max_length=32)
    made_at = InstantColumn()
    expires = InstantColumn()

    def __str__(self) -> str:
        return f"{self.slot} {self.kind} secret {self.public_id}"
