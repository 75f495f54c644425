"""Making an organization: its row and its key, together."""

from __future__ import annotations

from django.db import transaction

from core.columns import new_id
from core.crypto.hierarchy import create_organization_key
from core.tenancy import Scope, scoped
from organizations.models import Organization, OrganizationType


def locked_organization() -> Organization:
    """The organization in scope, locked until the transaction ends: for rules that hold for all of its rows."""
    organization: Organization = Organization.objects.unnarrowed().select_for_update().get()
    return organization


def create_organization(*, name: str, fullname: str, organization_type: OrganizationType) -> Organization:
    """A new organization with a sealing key of its own."""
    organization = Organization(id=new_id(), name=name, fullname=fullname, organization_type=organization_type)
    with transaction.atomic(), scoped(Scope(organization.id)):
        organization.save(force_insert=True)
        create_organization_key(organization_id=organization.id)
    return organization
