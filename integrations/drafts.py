"""Drafts: integrations checked against all that is known without asking the provider, and then by asking."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from accounts.models import Account
from catalog.customs.definitions import scheduled_of
from catalog.customs.models import Custom
from catalog.members import CredentialMember
from catalog.registry import Provider
from catalog.verify import verify
from core.columns import is_id
from core.errors import ForbiddenError, InvalidError, Parameter, ProblemError
from core.outbound import Sender, send
from core.parsing import value_at
from core.tenancy import current_scope
from credentials.models import Credential, OwnerType
from credentials.serializers import CONFIG_FORMS
from credentials.services import CredentialExpiredError, refuse_expired, use_credential
from integrations.bridges.relay import BridgeSender
from integrations.configs import read_config, replace_at, unmask_config
from integrations.models import Integration
from integrations.points.models import IntegrationPoint
from integrations.schedules import operations_of


class ProviderNotAllowedError(InvalidError):
    """The integration point does not allow this provider for accounts of this environment."""

    slug = "provider-not-allowed"
    remedy = "Choose a provider that the integration point allows, or allow this one there."


@dataclasses.dataclass(frozen=True, slots=True)
class Draft:
    """A checked configuration that is not saved: whose it is, its provider, and its credentials."""

    account: Account
    point: IntegrationPoint | None
    provider: Provider
    config: dict[str, Any]
    prefix: str  # where the integration stands in the body
    stored: dict[str, Credential]  # by the pointer of the member that refers to it
    inline: list[CredentialMember]
    custom: Custom | None = None  # whose definition the provider is made of
    bridge_selector: dict[str, Any] | None = None

    def through(self, selector: dict[str, Any] | None) -> Draft:
        """The same, with the bridge that its requests go through."""
        lent = [pointer for pointer, c in self.stored.items() if c.owner_type == OwnerType.INTEGRATION_POINT]
        if selector is not None and lent:
            raise ForbiddenError(
                "the integration point's credential cannot go through a bridge: the account's own agent would see it",
                at=Parameter("body", f"{self.prefix}/provider_config{lent[0]}"),
                remediation="Use a credential of the account, or leave `bridge_selector` out.",
            )
        return dataclasses.replace(self, bridge_selector=selector)

    def sender(self) -> Sender:
        """How requests to the provider are sent: through the bridge that is selected, else directly."""
        return send if self.bridge_selector is None else BridgeSender(self.account.id, self.bridge_selector)

    def templates(self) -> list[dict[str, Any]]:
        """The schedules that the point gives to integrations of this provider."""
        schedules = (self.point.scheduled_operations if self.point else None) or []
        return [each for each in schedules if each["operation"] in self.schedulable()]

    def schedulable(self) -> Collection[str]:
        """The operations that may have a schedule: those of the connector, or of a custom provider's definition."""
        if self.custom is not None:
            return scheduled_of(self.custom.definition)
        return operations_of(self.provider.connector_id)

    def opened(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Every credential's type and secret by the pointer of its member."""
        found = {p: (c.credential_type, use_credential(credential=c)) for p, c in self.stored.items()}
        for member in self.inline:
            found[member.pointer] = (str(member.credential_type), member.credential_config)
        return found


def draft_integration(
    *,
    account: Account,
    config: dict[str, Any],
    point: IntegrationPoint | None,
    integration: Integration | None = None,
    prefix: str = "",
) -> Draft:
    """Checks a provider configuration against everything that is known without asking the provider."""
    read = read_config(config, prefix)
    provider, present = read.provider, read.config
    if point is not None:
        refuse_disallowed(provider=provider, point=point, account=account, prefix=prefix)
    owners = {account.id, point.id if point else None, integration.id if integration else None}
    stored, inline = {}, []
    for member in provider.credential_members(present):
        if member.is_reference:
            pointer = f"{prefix}/provider_config{member.pointer}"
            found = find_stored(member, owners, pointer)
            if not refers_to(integration, member.pointer, found):  # one in use may expire, which is no change
                refuse_expired(credential=found, at=Parameter("body", f"{pointer}/value", found.name))
            stored[member.pointer] = found
            unchanged = integration is not None and present == integration.provider_config
            if found.owner_type == OwnerType.INTEGRATION_POINT and not unchanged:
                refuse_lifting(provider, pointer)
            replace_at(present, member.pointer, member.refer_to(found.id))
        else:
            refuse_malformed(member, f"{prefix}/provider_config{member.pointer}")
            inline.append(member)
    return Draft(account, point, provider, present, prefix, stored, inline, read.custom)


def refuse_disallowed(*, provider: Provider, point: IntegrationPoint, account: Account, prefix: str) -> None:
    """Raises unless the point takes this provider for this account."""
    at = Parameter("body", f"{prefix}/provider_config/type", provider.id)
    if provider.connector_id != point.connector:
        raise ProviderNotAllowedError(
            f"the integration point takes providers of the connector {point.connector!r}", at=at
        )
    if not point.allows(provider.id, account.environment):
        raise ProviderNotAllowedError(
            f"the integration point does not allow {provider.id!r} in {account.environment} accounts", at=at
        )


def refuse_malformed(member: CredentialMember, pointer: str) -> None:
    """Raises when an inline credential is not one that could be stored."""
    form = CONFIG_FORMS[str(member.credential_type)](data=member.credential_config)
    if not form.is_valid():
        raise InvalidError(f"{pointer}: is no complete credential", at=Parameter("body", pointer))


def refuse_lifting(provider: Provider, pointer: str) -> None:
    """A point's credential serves every account, so no account may choose the address that it is sent to."""
    if current_scope().reaches_accounts() and not provider.has_fixed_address:
        raise ForbiddenError(
            "the integration point's credential cannot be sent to an address that an account chooses",
            at=Parameter("body", pointer),
            remediation="Use a credential of the account, or have the organization's own token set the configuration.",
        )


def find_stored(member: CredentialMember, owners: set[str | None], pointer: str) -> Credential:
    """The stored credential a member refers to, which one of the owners must have."""
    reference, at = member.value["value"], Parameter("body", f"{pointer}/value", member.value["value"][:200])
    # Not narrowed: a credential of the integration point serves accounts that may not see it.
    mine = Credential.objects.unnarrowed().filter(owner_id__in=owners)
    named = list(mine.filter(id=reference) if is_id(reference) else mine.filter(name=reference)[:2])
    if len(named) != 1:
        raise InvalidError(
            f"{at.id}: does not exist",
            detail="An integration uses credentials of its account, its integration point or its own, by id or name.",
            at=at,
        )
    found: Credential = named[0]
    if found.credential_type not in member.types or found.credential_type != member.credential_type:
        raise InvalidError(f"{at.id}: is a credential of the type {found.credential_type!r}", at=at)
    return found


def refers_to(integration: Integration | None, pointer: str, credential: Credential) -> bool:
    """Whether a stored configuration has the credential at this place."""
    stored = value_at(integration.provider_config, f"{pointer}/value") if integration is not None else None
    return bool(stored == credential.id)


def verify_draft(*, draft: Draft, values: dict[str, str] | None = None) -> list[ProblemError]:
    """Asks the provider; the doubts, none only if it accepted. `values` are secrets that the draft has masked."""
    config = unmask_config(draft.provider, draft.config, values or {}, draft.prefix)
    try:
        secrets = draft.opened()
    except CredentialExpiredError as error:
        return [error]
    return verify(draft.provider, config, secrets, send=draft.sender())
