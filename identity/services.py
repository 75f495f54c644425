"""Opening an organization: with its built-in roles, its first token and, if wanted, its first member."""

from __future__ import annotations

import dataclasses

from django.db import transaction

from core import activity
from core.crypto.hierarchy import create_organization_key, shred_organization
from core.ledger.services import cancel_all
from core.tenancy import Scope, scoped
from identity.members.models import Member
from identity.members.services import MemberSpec, create_member
from identity.permissionsets.sets import Permissions
from identity.roles.services import create_builtin_roles
from identity.tokens.services import IssuedToken, TokenSpec, issue_token
from organizations.models import Organization, OrganizationType


@dataclasses.dataclass(frozen=True, slots=True)
class OpenedOrganization:
    """What a new organization begins with: an administrator token and, if wanted, its first member."""

    issued: IssuedToken
    member: Member | None = None


@transaction.atomic
def open_organization(
    *,
    of: Organization,
    ttl: str = "8760h",
    refresh_ttl: str | None = None,
    member: MemberSpec | None = None,
) -> OpenedOrganization:
    """Makes a new organization's key, built-in roles, first token and first member, so that work can begin."""
    with scoped(Scope(of.id)):
        create_organization_key(organization_id=of.id)
        activity.open_log()
        create_builtin_roles(is_root=of.organization_type == OrganizationType.ROOT)
        issued = issue_token(spec=TokenSpec(permission_set=Permissions.ADMINISTRATOR, ttl=ttl, refresh_ttl=refresh_ttl))
        first = create_member(spec=member, by=None) if member else None
        of.refresh_token_id = issued.token.id
        Organization.objects.update(refresh_token_id=issued.token.id)
    return OpenedOrganization(issued, first)


@transaction.atomic
def delete_organization(*, of: Organization) -> str:
    """Deletes an organization with all it has. What was sealed for it cannot be opened from here on.

    Gives what the one above is to keep of its audit log.
    """
    with scoped(Scope(of.id)):
        shred_organization(organization_id=of.id)
        told = activity.close_log()
        cancel_all()
        Organization.objects.get().delete()
    return told
