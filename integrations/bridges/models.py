"""The bridge with its labels, the agents seen at it, and the requests that wait for one of them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Account
from core.columns import IdColumn, InstantColumn, JsonColumn, TextColumn, new_id
from core.models import Resource, named_once, sorted_by
from core.tenancy import TenantModel


class Bridge(Resource):
    """A way into a network of an account's: agents with its credential relay what integrations send there.

    The credential is a signed token that is not stored. It names `credential_id`: another one here, or no row, ends it.
    """

    resource_type = "bridge"
    name_scope: ClassVar[tuple[str, ...]] = ("organization_id", "account_id")
    account_column = "account_id"

    account = models.ForeignKey(Account, models.CASCADE, related_name="+", editable=False)
    description = TextColumn(max_length=2048, null=True, default=None)
    labels = JsonColumn(null=True, default=None)
    credential_id = IdColumn(default=new_id)

    class Meta:
        constraints = [named_once("bridge", "organization", "account")]
        indexes = sorted_by("bridge", "fullname", "created_at", "updated_at")


class BridgeLabel(TenantModel):
    """One label of one bridge: the index over `Bridge.labels`."""

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="label_rows")
    label = TextColumn(max_length=48)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bridge", "label"], name="bridge_label_once")]
        indexes = [models.Index(fields=["organization", "label", "bridge"], name="bridge_by_label")]

    def __str__(self) -> str:
        return self.label


class BridgeAgent(TenantModel):
    """One run of an agent, as its last heartbeat told of it."""

    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="+")
    agent_id = IdColumn()
    started_at = InstantColumn(default=timezone.now)
    seen_at = InstantColumn(default=timezone.now)
    told = JsonColumn()  # as the status of the bridge shows it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bridge", "agent_id"], name="bridge_agent_once")]
        indexes = [models.Index(fields=["organization", "bridge", "seen_at"], name="bridge_agent_by_seen_at")]

    def __str__(self) -> str:
        return f"agent {self.agent_id} of {self.bridge_id}"


class BridgeRequest(TenantModel):
    """One HTTP request on its way through a bridge. It is made by whoever waits for it, who also deletes it.

    States: waiting (no `agent_id`), taken (an `agent_id`), answered (an `answer`). Each only follows the one before,
    and only before `expires_at`: a request is taken once at most and never sent a second time. Request and answer
    may hold secrets of a provider, so both are sealed for this row.
    """

    id = IdColumn(primary_key=True, default=new_id)
    organization = models.ForeignKey(settings.ORGANIZATION_MODEL, models.CASCADE, related_name="+", editable=False)
    bridge = models.ForeignKey(Bridge, models.CASCADE, related_name="+")
    expires_at = InstantColumn()
    agent_id = IdColumn(null=True, default=None)
    request = models.BinaryField()
    answer = models.BinaryField(null=True, default=None)

    class Meta:
        indexes = [models.Index(fields=["organization", "bridge", "expires_at"], name="bridge_request_by_expires_at")]

    def __str__(self) -> str:
        return f"request {self.id} through {self.bridge_id}"
