"""The credential."""

from __future__ import annotations

from django.db import models

from accounts.models import Account
from core.columns import IdColumn, InstantColumn, TextColumn
from core.models import Resource, named_once, sorted_by


class CredentialType(models.TextChoices):
    AWS = "aws"
    AWS_ROLE = "aws_role"
    TOKEN = "token"  # noqa: S105 - a type's name
    BASIC = "basic"
    SECRET = "secret"  # noqa: S105 - a type's name
    OAUTH_CLIENT = "o_auth_client"
    TLS_CERTIFICATE = "tls_certificate"


class OwnerType(models.TextChoices):
    ACCOUNT = "account"
    INTEGRATION = "integration"
    INTEGRATION_POINT = "integration_point"
    ORGANIZATION_WEBHOOK = "organization_webhook"


class ManagedType(models.TextChoices):
    """`Managed`: made and ended with its integration. `Unmanaged`: made and ended by you."""

    MANAGED = "Managed"
    UNMANAGED = "Unmanaged"


class Credential(Resource):
    """A secret and whose it is. `sealed` opens only for this owner, credential and version."""

    resource_type = "credential"
    name_scope = ("organization_id", "owner_type", "owner_id")
    account_column = "account_id"

    owner_type = TextColumn(max_length=32, choices=OwnerType.choices)
    owner_id = IdColumn()
    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="+", editable=False)
    credential_type = TextColumn(max_length=32, choices=CredentialType.choices)
    sealed = models.BinaryField()
    version = models.IntegerField(default=1)
    expires = InstantColumn(null=True, default=None)
    managed = TextColumn(max_length=16, choices=ManagedType.choices, default=ManagedType.UNMANAGED)

    class Meta:
        constraints = [named_once("credential", "organization", "owner_type", "owner_id")]
        indexes = [
            *sorted_by("credential", "created_at", "updated_at"),
            models.Index(fields=["organization", "owner_id", "name"], name="credential_by_owner"),
        ]
