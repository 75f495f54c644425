"""The token, and its secrets as rows to look up."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel


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

    `grants` is the chain of rights from this token to the first of its line, each a permission set and
    resources; a request must pass all of them, so a token never exceeds its parent. `pairs` is what is
    shown of the secrets: public ids and times.
    """

    resource_type = "token"
    account_column = "account_id"
    reserved_names = frozenset({"mcp", "synqly-integrations"})

    owner_type = TextColumn(max_length=16, choices=TokenOwnerType.choices)
    owner_id = IdColumn()
    account_id = IdColumn(null=True)
    member_id = IdColumn(null=True)
    parent_id = IdColumn(null=True)
    surface = TextColumn(max_length=16, choices=Surface.choices)
    token_type = TextColumn(max_length=16, choices=TokenType.choices)
    token_ttl = TextColumn(max_length=24)
    expires = InstantColumn()
    grants = JsonColumn()
    pairs = JsonColumn()

    class Meta:
        constraints = [named_once("token")]
        indexes = [
            *sorted_by("token", "created_at", "expires"),
            models.Index(fields=["owner_id"], name="token_by_owner"),
            models.Index(fields=["parent_id"], name="token_by_parent"),
        ]


class TokenSecret(TenantModel):
    """One secret of a token: looked up by its public id, known only by its keyed hash."""

    public_id = TextColumn(max_length=16, primary_key=True)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    token = models.ForeignKey(Token, models.CASCADE, related_name="secrets")
    slot = TextColumn(max_length=16)  # primary or secondary
    kind = TextColumn(max_length=16)  # access or refresh
    digest = models.BinaryField(max_length=32)
    expires = InstantColumn()

    def __str__(self) -> str:
        return f"{self.slot} {self.kind} secret {self.public_id}"
