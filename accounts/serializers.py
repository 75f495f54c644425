"""Accounts on the wire."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from rest_framework import serializers

from accounts.models import Account, AccountLabel, Environment
from core.durations import DurationField
from core.fields import EnumField, IdField, ListField, StringField
from core.models import insert_rows
from core.serializers import ResourceSerializer, StrictSerializer
from identity.tokens.networks import NetworksField
from identity.tokens.serializers import ProvisionedTokenRequestSerializer, RefreshTokenSerializer

label_pattern = RegexValidator(r"\A[A-Za-z0-9_\-:.]{1,48}\Z", "must be 1 to 48 letters, digits, _, -, : and .")


class AccountSerializer(ResourceSerializer):
    """One of your customers, the tenant that owns integrations and credentials."""

    environment = EnumField(Environment, default=Environment.PROD, help_text="`test` or `prod`; fixed once set.")
    labels = ListField(
        child=StringField(max_length=48, validators=[label_pattern]),
        required=False,
        help_text="Your labels; roles and tokens can narrow by them.",
    )
    token = ProvisionedTokenRequestSerializer(
        required=False, write_only=True, help_text="Asks for a token scoped to the new account."
    )

    class Meta(ResourceSerializer.Meta):
        model = Account
        fields = (
            "name", "created_at", "updated_at", "id", "fullname", "organization_id", "environment", "labels", "token"
        )  # fmt: skip
        read_only = ("id", "organization_id", "created_at", "updated_at")
        fixed = ("environment",)
        optional = ("labels",)
        create_only = ("token",)

    def validate_labels(self, labels: list[str]) -> list[str]:
        return list(dict.fromkeys(labels))

    def create(self, validated_data: dict[str, Any]) -> Account:
        validated_data.pop("token", None)
        account: Account = super().create(validated_data)
        index_labels(account)
        return account

    def update(self, instance: Account, validated_data: dict[str, Any]) -> Account:
        before = list(instance.labels)
        account: Account = super().update(instance, validated_data)
        if account.labels != before:
            AccountLabel.objects.filter(account=account).delete()
            index_labels(account)
        return account


class CreateAccountResponseResultSerializer(serializers.Serializer[Any]):
    """The new account, and its token if one was asked for."""

    account = AccountSerializer(help_text="The account.")
    token = RefreshTokenSerializer(
        required=False, help_text="The token that was asked for, with its secrets: they are not shown again."
    )


class CreateSynqlyIntegrationsTokenRequestSerializer(StrictSerializer):
    """A token for the organization's own account."""

    token_ttl = DurationField(required=False, help_text="How long the token works. 24 hours if not given.")
    allowed_networks = NetworksField()


class SynqlyIntegrationsTokenResponseSerializer(serializers.Serializer[Any]):
    """The organization's own account, and a token for it."""

    account_id = IdField(help_text="Id of the account `synqly-integrations`.")
    token = RefreshTokenSerializer(help_text="The token, with its secrets: they are not shown again.")


def index_labels(account: Account) -> None:
    """Writes the rows that a search by label reads."""
    rows = [(account.organization_id, account.id, label) for label in account.labels]
    insert_rows(AccountLabel, ("organization_id", "account_id", "label"), rows)
