"""Making, changing and deleting integrations."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import orjson

from catalog.errors import VerificationUnavailableError
from core.columns import new_id
from core.crypto.sealing import Place, open_sealed, seal
from core.errors import DuplicateNameError, ProblemError
from core.names import assign_name, is_taken
from core.references import Owner
from credentials.models import Credential, ManagedType, OwnerType
from credentials.services import CredentialSpec, create_credential, delete_owned
from identity.tokens.models import Surface, TokenOwnerType, TokenType
from identity.tokens.services import IssuedToken, TokenSpec, delete_tokens_of, issue_token
from integrations.configs import mask_config, mask_webhooks, replace_at
from integrations.drafts import Draft, verify_draft
from integrations.mappings import additional_for, chains_for, note_mappings
from integrations.models import Integration, IntegrationCredential
from integrations.operations.services import follow_schedules, follow_sinks, forget_operations
from integrations.schedules import raise_frequencies
from integrations.status.services import Kind, counted_call, create_status, delete_status

DEFAULT_TTL, DEFAULT_REFRESH_TTL = "720h", "8760h"  # an integration's own token: 30 days, and a year to renew it in


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of creating or changing an integration, with what is shown this once."""

    integration: Integration
    draft: Draft
    credentials: list[Credential]
    webhook_keys: dict[str, str]  # made here, by address
    notes: list[ProblemError]
    is_new_config: bool = True  # whether the provider need be asked
    token: IssuedToken | None = None


def create_integration(*, draft: Draft, attrs: dict[str, Any]) -> Outcome:
    """A new integration with its Managed credentials and its own token. Empty lists come from the point's templates."""
    attrs, point = copy.deepcopy(attrs), draft.point
    if point is not None:
        given = attrs.get("additional_mappings") or []
        attrs["mappings"] = attrs.get("mappings") or chains_for(point.mappings, draft.provider.id) or None
        attrs["additional_mappings"] = additional_for(point.additional_mappings, draft.provider.id, given) or None
        attrs["scheduled_operations"] = attrs.get("scheduled_operations") or draft.templates() or None
    notes = raise_frequencies(attrs.get("scheduled_operations") or [])
    webhooks = attrs.pop("webhook_config", None)
    name, fullname = attrs.pop("name", None), attrs.pop("fullname", None)
    integration = Integration.in_scope(
        id=new_id(),
        account=draft.account,
        integration_point=point,
        custom=draft.custom,
        category=draft.provider.connector_id,
        provider_type=draft.provider.id,
        **attrs,
    )
    assign_name(integration, name=name, fullname=fullname)
    created, keys = store_draft(integration=integration, draft=draft, webhooks=webhooks)
    issued = issue_own_token(integration=integration)
    integration.refresh_token_id = issued.token.id
    integration.save(force_insert=True)
    create_status(integration=integration)
    link_credentials(integration=integration, draft=draft, created=created)
    if integration.mappings:
        note_mappings(chains=integration.mappings, integration=integration)
    if integration.scheduled_operations:
        follow_schedules(integration=integration)
    follow_sinks(integration=integration)
    return Outcome(integration, draft, created, keys, notes, token=issued)


def change_integration(*, integration: Integration, draft: Draft, webhooks: dict[str, Any] | None) -> Outcome:
    """Puts a draft into an integration that is being changed; `save` is the caller's."""
    integration.custom = draft.custom
    notes = raise_frequencies(integration.scheduled_operations or [])
    before = (integration.provider_config, open_values(integration=integration))
    created, keys = store_draft(integration=integration, draft=draft, webhooks=webhooks)
    link_credentials(integration=integration, draft=draft, created=created)
    is_new = bool(created) or before != (integration.provider_config, open_values(integration=integration))
    is_new = is_new or draft.bridge_selector != integration.bridge_selector
    return Outcome(integration, draft, created, keys, notes, is_new)


def store_draft(
    *, integration: Integration, draft: Draft, webhooks: dict[str, Any] | None
) -> tuple[list[Credential], dict[str, str]]:
    """Puts a draft into an integration that is about to be saved. Inline credentials become Managed ones.

    Gives the credentials made, and the webhook keys made by address.
    """
    created = []
    owner = Owner(OwnerType.INTEGRATION, integration.id, draft.account.id)
    config = copy.deepcopy(draft.config)
    for member in draft.inline:
        spec = CredentialSpec(config=member.credential_config, managed=ManagedType.MANAGED)
        credential = create_credential(owner=owner, spec=spec)
        replace_at(config, member.pointer, member.refer_to(credential.id))
        created.append(credential)
    kept = open_values(integration=integration)
    integration.provider_config, values = mask_config(draft.provider, config, kept)
    integration.webhook_config, keys, made = mask_webhooks(webhooks, kept)
    integration.version += 1
    values |= keys
    integration.sealed_values = seal(_place(integration), orjson.dumps(values)) if values else None
    return created, made


def link_credentials(*, integration: Integration, draft: Draft, created: list[Credential]) -> None:
    """Notes which credentials an integration uses, and deletes its Managed ones that it does not use any more."""
    used = {c.id for c in (*draft.stored.values(), *created)}
    IntegrationCredential.objects.filter(integration=integration).exclude(credential_id__in=used).delete()
    noted = set(IntegrationCredential.objects.filter(integration=integration).values_list("credential_id", flat=True))
    IntegrationCredential.objects.bulk_create(
        IntegrationCredential.in_scope(integration=integration, credential_id=each) for each in sorted(used - noted)
    )
    own = Credential.objects.filter(owner_type=OwnerType.INTEGRATION, owner_id=integration.id)
    own.filter(managed=ManagedType.MANAGED).exclude(id__in=used).delete()


def _place(integration: Integration) -> Place:
    return Place(integration.organization_id, "integration", integration.id, "values", integration.version)


def open_values(*, integration: Integration) -> dict[str, str]:
    """The secret values of an integration, other than its credentials, by pointer or name."""
    if integration.sealed_values is None:
        return {}
    values: dict[str, str] = orjson.loads(open_sealed(_place(integration), bytes(integration.sealed_values)))
    return values


def verify_integration(*, integration: Integration, draft: Draft) -> list[ProblemError]:
    """Asks the provider about an integration as it is stored, and counts it; no doubts only if it accepted."""
    values = open_values(integration=integration)
    with counted_call(integration_id=integration.id, kind=Kind.VERIFICATION) as call:
        problems = verify_draft(draft=draft, values=values)
        call.outcome = problems[0] if problems else None
        call.is_made = not isinstance(call.outcome, VerificationUnavailableError)
    return problems


def doubt_name(*, name: str | None, draft: Draft, integration: Integration | None) -> list[ProblemError]:
    """What speaks against the name of an integration that is to be made, or changed."""
    named = integration or Integration.in_scope(id=new_id(), account=draft.account)
    if name is not None and is_taken(named, name):
        return [DuplicateNameError.of(name, f"{draft.prefix}/name")]
    return []


def issue_own_token(*, integration: Integration) -> IssuedToken:
    """The token an integration is born with; it opens the connector API of this integration only."""
    spec = TokenSpec(
        permission_set=None,
        ttl=DEFAULT_TTL,
        refresh_ttl=DEFAULT_REFRESH_TTL,
        owner_type=TokenOwnerType.INTEGRATION,
        owner_id=integration.id,
        account_id=integration.account_id,
        token_type=TokenType.DEFAULT,
        surface=Surface.CONNECTORS,
    )
    return issue_token(spec=spec)


def delete_integration(*, integration: Integration) -> None:
    """Deletes an integration with its status, its Managed credentials and its tokens."""
    owner_id = integration.id
    delete_status(integration=integration)
    delete_tokens_of(owner_id=owner_id)
    forget_operations(integration=integration)
    integration.delete()
    delete_owned(owner_type=OwnerType.INTEGRATION, owner_id=owner_id)
    follow_sinks(integration=integration)
