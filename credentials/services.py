"""Sealing, opening, finding the owner of and deleting credentials."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import orjson

from core.columns import new_id
from core.crypto.sealing import Place, open_sealed, seal
from core.errors import InvalidError, Parameter
from core.names import assign_name
from core.references import Owner
from credentials.models import Credential, ManagedType, OwnerType

OVERLAP = dt.timedelta(hours=24)  # a webhook's secret that was replaced goes on signing for as long


class CredentialExpiredError(InvalidError):
    """An expired credential was to be used."""

    slug = "credential-expired"
    remedy = "Give the credential a new `expires` or a new secret."


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialSpec:
    """A new credential, but for its owner."""

    config: dict[str, Any]
    name: str | None = None
    fullname: str | None = None
    expires: dt.datetime | None = None
    managed: ManagedType = ManagedType.UNMANAGED


def _place(credential: Credential) -> Place:
    return Place(
        organization_id=credential.organization_id,
        owner_type=credential.owner_type,
        owner_id=credential.owner_id,
        credential_id=credential.id,
        version=credential.version,
    )


def seal_config(*, credential: Credential, config: dict[str, Any]) -> None:
    """Seals a configuration into a credential that is not saved yet."""
    credential.credential_type = config["type"]
    credential.sealed = seal(_place(credential), orjson.dumps(config))


def open_config(*, credential: Credential) -> dict[str, Any]:
    """The secret configuration of a credential."""
    config: dict[str, Any] = orjson.loads(open_sealed(_place(credential), bytes(credential.sealed)))
    return config


def create_credential(*, owner: Owner, spec: CredentialSpec) -> Credential:
    """A new sealed credential of an owner."""
    credential = Credential.in_scope(
        id=new_id(),
        owner_type=owner.type,
        owner_id=owner.id,
        account_id=owner.account_id,
        expires=spec.expires,
        managed=spec.managed,
    )
    assign_name(credential, name=spec.name, fullname=spec.fullname)
    seal_config(credential=credential, config=spec.config)
    credential.save(force_insert=True)
    return credential


def keep_replaced(*, credential: Credential) -> None:
    """Keeps the secret of a webhook that is about to be replaced, for as long as receivers may take to change over."""
    now = dt.datetime.now(dt.UTC)
    until = min(credential.expires or now + OVERLAP, now + OVERLAP)
    if credential.owner_type == OwnerType.ORGANIZATION_WEBHOOK and until > now:
        spec = CredentialSpec(
            config=open_config(credential=credential),
            fullname=f"{credential.name} before",
            expires=until,
            managed=ManagedType.MANAGED,
        )
        create_credential(owner=Owner(credential.owner_type, credential.owner_id, None), spec=spec)


def refuse_expired(*, credential: Credential, at: Parameter | None = None) -> None:
    """Raises for a credential that can no longer be used."""
    if credential.expires is not None and credential.expires <= dt.datetime.now(dt.UTC):
        raise CredentialExpiredError(f"the credential {credential.name!r} expired", at=at)


def use_credential(*, credential: Credential) -> dict[str, Any]:
    """The secret configuration of a credential for a call to a provider; an expired one is refused."""
    refuse_expired(credential=credential)
    return open_config(credential=credential)


def delete_owned(*, owner_type: OwnerType, owner_id: str) -> None:
    """Deletes the credentials of an owner that is being deleted."""
    Credential.objects.filter(owner_type=owner_type, owner_id=owner_id).delete()
