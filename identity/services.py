"""Opening an organization: with its built-in roles, its first token and, if wanted, its first member."""

from __future__ import annotations

import dataclasses

from django.db import transaction

from core.tenancy import Scope, scoped
from identity.members.models import Member
from identity.members.services import MemberSpec, create_member
from identity.permissionsets.sets import Permissions
from identity.roles.services import create_builtin_roles
from identity.tokens.services import IssuedToken, TokenSpec, issue_token
from organizations.models import Organization, OrganizationType
from organizations.services import create_organization


@dataclasses.dataclass(frozen=True, slots=True)
class OpenedOrganization:
    """A new organization, the administrator token it begins with, and its first member."""

    organization: Organization
    issued: IssuedToken
    member: Member | None = None


@transaction.atomic
def open_organization(
    *,
    name: str,
    fullname: str,
    organization_type: OrganizationType = OrganizationType.STANDARD,
    ttl: str = "8760h",
    member: MemberSpec | None = None,
) -> OpenedOrganization:
    """A new organization that can be worked with at once."""
    organization = create_organization(name=name, fullname=fullname, organization_type=organization_type)
    with scoped(Scope(organization.id)):
        create_builtin_roles(is_root=organization_type == OrganizationType.ROOT)
        issued = issue_token(spec=TokenSpec(permission_set=Permissions.ADMINISTRATOR, ttl=ttl))
        organization.refresh_token_id = issued.token.id
        organization.save(update_fields=["refresh_token_id"])
        first = create_member(spec=member, by=None) if member else None
    return OpenedOrganization(organization, issued, first)
