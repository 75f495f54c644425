"""Making and locking organizations."""

from __future__ import annotations

from core.columns import addressed, new_id
from core.tenancy import Scope, scoped, unscoped
from organizations.models import Organization, OrganizationType


def locked_organization() -> Organization:
    """The organization in scope, locked until the transaction ends: for rules that hold for all of its rows."""
    organization: Organization = Organization.objects.unnarrowed().select_for_update(no_key=True).get()
    return organization


def create_organization(*, name: str, fullname: str, organization_type: OrganizationType) -> Organization:
    """The row of a new organization; `identity.services.open_organization` gives it what it begins with."""
    organization = Organization(id=new_id(), name=name, fullname=fullname, organization_type=organization_type)
    with scoped(Scope(organization.id)):
        organization.save(force_insert=True)
    return organization


def find_organization(named: str) -> Organization | None:
    """The organization of an id or a name, for commands: whoever runs them may name any."""
    with unscoped("the operator names an organization"):
        by = addressed(named)
        found: Organization | None = Organization.objects.filter(**by).first() if by else None
    return found
