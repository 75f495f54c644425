"""Mapping chains and additional mappings, as integrations and points carry them."""

from __future__ import annotations

import functools
from typing import Any

from rest_framework.exceptions import ValidationError

from catalog.mappings.services import locate
from catalog.registry import get_connector, get_provider, list_connectors
from core.fields import BooleanField, EnumField, ListField, StringField
from core.serializers import StrictSerializer
from integrations.models import Integration, IntegrationPoint, MappingUse

ANY = "*"
RESOURCES = (
    "alerts", "applications", "audit_logs", "comments", "devices", "events", "evidence", "findings", "groups",
    "investigations", "iocs", "log_providers", "posture_scores", "projects", "scans", "scan_activities", "threats",
    "tickets", "users", "compliance", "cloudresourceinventory",
)  # fmt: skip
ACTIONS = ("query", "read", "create", "update", "delete", "patch")
DATA_TYPES = ("string", "number", "datetime", "boolean", "array", "any")
RESPONSIBILITIES = ("recommended", "optional", "fixed")


def provider_ids(**kwargs: Any) -> ListField:
    """A list of provider types."""
    return ListField(child=StringField(max_length=128), **kwargs)


def refuse_unknown_providers(ids: list[str], connector: str | None = None) -> list[str]:
    """Raises for ids that are no provider, or none of a connector. `*` is all of them."""
    wrong: Any = {}
    for i, each in enumerate(ids):
        provider = get_provider(each)
        if each == ANY:
            continue
        if provider is None:
            wrong[i] = ["is no provider"]
        elif connector is not None and provider.connector_id != connector:
            wrong[i] = [f"is no provider of the connector {connector!r}"]
    if wrong:
        raise ValidationError(wrong)
    return ids


def refuse_unknown_connector(connector: str) -> str:
    """Raises for a category that the catalog does not have."""
    if get_connector(connector) is None:
        raise ValidationError(f"must be one of {', '.join(c.id for c in list_connectors())}")
    return connector


@functools.cache
def known_operations() -> frozenset[str]:
    """Every operation of every connector."""
    return frozenset(operation for connector in list_connectors() for operation in connector.operations)


class MappingChainSerializer(StrictSerializer):
    """Mappings applied one after the other to the given operations."""

    mappings = ListField(
        child=StringField(max_length=160), help_text="Mappings by id or name, `name:version` included."
    )
    operation_ids = ListField(child=StringField(max_length=128), help_text="The operations they apply to.")

    def validate_mappings(self, mappings: list[str]) -> list[str]:
        found = locate(references=mappings)
        wrong: Any = {i: ["does not exist"] for i, each in enumerate(mappings) if each not in found}
        if wrong:
            raise ValidationError(wrong)
        return mappings

    def validate_operation_ids(self, ids: list[str]) -> list[str]:
        known = known_operations()
        wrong: Any = {i: ["is no operation"] for i, each in enumerate(ids) if each not in known}
        if wrong:
            raise ValidationError(wrong)
        return ids


class MappingChainTemplateSerializer(MappingChainSerializer):
    """A mapping chain for integrations of the given providers."""

    providers = provider_ids(min_length=1, help_text="The providers it is for, or `*`.")

    def validate_providers(self, ids: list[str]) -> list[str]:
        return refuse_unknown_providers(ids)


class AdditionalMappingSerializer(StrictSerializer):
    """A value copied into the custom fields of what a provider answers."""

    resource = EnumField(RESOURCES, help_text="The kind of object.")
    actions = ListField(child=EnumField(ACTIONS), min_length=1, help_text="The actions it applies to.")
    source = StringField(  # type: ignore[assignment]  # the wire's name is also an attribute of DRF's fields
        max_length=1024, help_text="Path in the provider's data, steps separated by dots."
    )
    destination = StringField(max_length=1024, help_text="Path in the custom fields.")
    literal = BooleanField(required=False, help_text="Whether `source` is the value itself. `false` if not given.")
    data_type = EnumField(DATA_TYPES, help_text="The type the value is read as.")


class AdditionalMappingTemplateSerializer(AdditionalMappingSerializer):
    """An additional mapping for integrations of the given providers."""

    providers = provider_ids(min_length=1, help_text="The providers it is for, or `*`.")
    mapping_type = EnumField(
        RESPONSIBILITIES, required=False, help_text="`fixed`, `recommended`, or `optional`, which is the default."
    )

    def validate_providers(self, ids: list[str]) -> list[str]:
        return refuse_unknown_providers(ids)


def note_mappings(*, chains: list[dict[str, Any]] | None, **holder: Integration | IntegrationPoint) -> None:
    """Notes which mappings an integration or a point uses; `holder` is it, by the column's name."""
    references = [each for chain in chains or [] for each in chain["mappings"]]
    used = {located.mapping_id for located in locate(references=references).values()}
    MappingUse.objects.filter(**holder).exclude(mapping_id__in=used).delete()
    noted = set(MappingUse.objects.filter(**holder).values_list("mapping_id", flat=True)) if used else set()
    MappingUse.objects.bulk_create(MappingUse.in_scope(mapping_id=each, **holder) for each in sorted(used - noted))


def is_for(template: dict[str, Any], provider_type: str) -> bool:
    """Whether a template applies to integrations of a provider."""
    return provider_type in template["providers"] or ANY in template["providers"]


def chains_for(templates: list[dict[str, Any]] | None, provider_type: str) -> list[dict[str, Any]]:
    """The mapping chains that a point gives an integration."""
    return [_without(t, "providers") for t in templates or [] if is_for(t, provider_type)]


def additional_for(
    templates: list[dict[str, Any]] | None, provider_type: str, given: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The additional mappings of an integration: those given, if any, and the point's, of which `fixed` always."""
    here = [t for t in templates or [] if is_for(t, provider_type)]
    fixed = [_without(t, "providers", "mapping_type") for t in here if t.get("mapping_type") == "fixed"]
    if given:
        targets = {(t["resource"], t["destination"]) for t in fixed}
        return [*fixed, *(g for g in given if (g["resource"], g["destination"]) not in targets)]
    return [_without(t, "providers", "mapping_type") for t in here]


def _without(template: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in template.items() if name not in names}
