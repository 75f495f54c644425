"""The configuration of an identity provider, and the rows that signing in with it leaves."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn, new_id
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel
from identity.members.models import Member

OIDC, SAML = "oidc", "saml"


class SsoConfiguration(Resource):
    """How to sign in with one identity provider.

    `identity_provider` is what is shown, `unshown` what is public but not part of the answer, `sealed` the
    client's secret, which opens only for this configuration and `version`.
    """

    resource_type = "sso_configuration"

    identity_provider = JsonColumn()
    unshown = JsonColumn(null=True, default=None)
    sealed = models.BinaryField(null=True, default=None)
    version = models.IntegerField(default=1)

    class Meta:
        constraints = [
            named_once("sso"),
            models.UniqueConstraint(fields=["organization", "fullname"], name="sso_fullname_once"),
        ]
        indexes = sorted_by("sso", "created_at", "updated_at", "id")


class SsoAttempt(TenantModel):
    """A sign-in under way: made at its start, deleted by the one answer of the provider that belongs to it.

    Found by the keyed hash of `state`. The nonce, the PKCE verifier and the id of a SAML request are derived
    from the state and a key, so the row holds no secret.
    """

    state_hash = TextColumn(max_length=64, primary_key=True)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    sso = models.ForeignKey(SsoConfiguration, models.CASCADE, related_name="+")
    browser_hash = TextColumn(max_length=64)
    return_to = TextColumn(max_length=2048)
    client_state = TextColumn(max_length=512, null=True, default=None)
    challenge = TextColumn(max_length=43)
    expires = InstantColumn()

    class Meta:
        indexes = [models.Index(fields=["organization", "expires"], name="ssoattempt_by_expires")]

    def __str__(self) -> str:
        return f"sign-in {self.state_hash[:8]}"


class SsoAssertion(TenantModel):
    """A SAML assertion that has been used, kept for as long as it could be sent again."""

    assertion_hash = TextColumn(max_length=64, primary_key=True)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    expires = InstantColumn()

    class Meta:
        indexes = [models.Index(fields=["organization", "expires"], name="ssoassertion_by_expires")]

    def __str__(self) -> str:
        return f"assertion {self.assertion_hash[:8]}"


class SsoLink(TenantModel):
    """Whom a provider's subject stands for."""

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    sso = models.ForeignKey(SsoConfiguration, models.CASCADE, related_name="+")
    issuer = TextColumn(max_length=2048)
    subject = TextColumn(max_length=255)
    member = models.ForeignKey(Member, models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sso", "issuer", "subject"], name="sso_subject_once")]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class SsoCode(TenantModel):
    """A finished sign-in, waiting to be exchanged for a session once, by whoever began it."""

    code_hash = TextColumn(max_length=64, primary_key=True)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    sso = models.ForeignKey(SsoConfiguration, models.CASCADE, related_name="+")
    member = models.ForeignKey(Member, models.CASCADE, related_name="+")
    challenge = TextColumn(max_length=43)
    expires = InstantColumn()

    class Meta:
        indexes = [models.Index(fields=["organization", "expires"], name="ssocode_by_expires")]

    def __str__(self) -> str:
        return f"code {self.code_hash[:8]}"
