"""Bridges on the wire."""

from __future__ import annotations

from typing import Any

from django.core.validators import MaxLengthValidator
from rest_framework import serializers

from accounts.serializers import label_pattern
from core.fields import IdField, InstantField, IntegerField, ListField, StringField
from core.serializers import ResourceSerializer, StrictSerializer
from integrations.bridges.models import Bridge, BridgeLabel


class BridgeSerializer(ResourceSerializer):
    """A bridge group: the agents that relay requests into one network of an account."""

    description = StringField(
        max_length=2048, required=False, allow_blank=True, help_text="What the bridge reaches, and what it is for."
    )
    labels = ListField(
        child=StringField(max_length=48, validators=[label_pattern]),
        required=False,
        help_text="Labels by which integrations select it.",
    )

    class Meta(ResourceSerializer.Meta):
        model = Bridge
        fields = ("name", "created_at", "updated_at", "id", "fullname", "description", "labels")
        optional = ("description", "labels")

    def validate_labels(self, labels: list[str]) -> list[str]:
        return list(dict.fromkeys(labels))

    def create(self, validated_data: dict[str, Any]) -> Bridge:
        bridge: Bridge = super().create(validated_data)
        index_labels(bridge)
        return bridge

    def update(self, instance: Bridge, validated_data: dict[str, Any]) -> Bridge:
        before = instance.labels
        bridge: Bridge = super().update(instance, validated_data)
        if bridge.labels != before:
            BridgeLabel.objects.filter(bridge=bridge).delete()
            index_labels(bridge)
        return bridge


def index_labels(bridge: Bridge) -> None:
    """Writes the rows that a selection by label reads."""
    if bridge.labels:
        BridgeLabel.objects.bulk_create(BridgeLabel.in_scope(bridge=bridge, label=label) for label in bridge.labels)


class CreateBridgeResponseResultSerializer(serializers.Serializer[Any]):
    """The new bridge and the credential of its agents."""

    bridge = BridgeSerializer(help_text="The bridge.")
    credential = StringField(
        max_length=2048, help_text="What agents sign in with, a JWT. It is shown once; save it as `{id}.creds`."
    )


class BridgeLocalConfigSerializer(StrictSerializer):
    """How an agent is set up."""

    version = StringField(help_text="The agent's version.")
    allow_addresses = ListField(child=StringField(), help_text="The networks and host names that it may call.")
    vault = serializers.DictField(
        child=StringField(),
        required=False,
        validators=[MaxLengthValidator(20)],
        help_text="The agent's own store of secrets; agents of today have none.",
    )


class BridgeLocalStatsSerializer(StrictSerializer):
    """What an agent has done since it started."""

    requests = IntegerField(min_value=0, help_text="Requests taken.")
    failures = IntegerField(min_value=0, help_text="Requests that got no answer, or were refused.")
    in_bytes = IntegerField(min_value=0, help_text="Bytes of the answers' bodies.")
    out_bytes = IntegerField(min_value=0, help_text="Bytes of the requests' bodies.")


class BridgeStatusSerializer(StrictSerializer):
    """An agent that was seen in the last minute."""

    current_time = InstantField(help_text="The agent's clock, when it was last seen.")
    response_duration = StringField(help_text="How long the service took to answer the agent, such as `12ms`.")
    local_config = BridgeLocalConfigSerializer(help_text="How the agent is set up.")
    local_stats = BridgeLocalStatsSerializer(help_text="What the agent has done since it started.")


class HeartbeatSerializer(StrictSerializer):
    """What an agent tells of itself."""

    agent_id = IdField(help_text="Id of this run of the agent, which it has chosen.")
    status = BridgeStatusSerializer(help_text="How it is.")


class ClaimSerializer(StrictSerializer):
    """An agent that is free for a request."""

    agent_id = IdField(help_text="Id of this run of the agent.")


class GetBridgeStatusResponseSerializer(serializers.Serializer[Any]):
    """The agents of a bridge that were seen in the last minute."""

    result = ListField(child=BridgeStatusSerializer(), help_text="The agents, the longest running first.")
