"""The account, and its labels as rows to look up."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import JsonColumn, TextColumn
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel

OWN_ACCOUNT = "synqly-integrations"  # the organization's own, made by its tokens alone


class Environment(models.TextChoices):
    TEST = "test"
    PROD = "prod"


class Account(Resource):
    """One of the organization's customers: the owner of integrations and credentials."""

    resource_type = "account"
    reserved_names = frozenset({"lookup", OWN_ACCOUNT})  # /v1/credentials/lookup
    narrowed_by = {"accounts": "id", "environments": "environment", "labels": "label_rows__label"}

    environment = TextColumn(max_length=16, choices=Environment.choices, default=Environment.PROD)
    labels = JsonColumn(default=list)

    class Meta:
        constraints = [named_once("account")]
        indexes = sorted_by("account", "fullname", "created_at", "updated_at", "id")


class AccountLabel(TenantModel):
    """One label of one account: the index over `Account.labels`."""

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="label_rows")
    label = TextColumn(max_length=48)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "label"], name="account_label_once")]
        indexes = [models.Index(fields=["organization", "label", "account"], name="account_by_label")]

    def __str__(self) -> str:
        return self.label
