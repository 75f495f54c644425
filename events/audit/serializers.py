"""Audit events on the wire."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer

from core.columns import JsonColumn
from core.fields import JsonObjectField
from core.serializers import ResourceSerializer
from events.audit.models import AuditEvent


@extend_schema_field({})
class AnyJsonField(JsonObjectField):
    """Any JSON value."""


@extend_schema_serializer(component_name="Audit")
class AuditSerializer(ResourceSerializer):
    """One change of the organization, or one that was refused."""

    serializer_field_mapping: ClassVar[Any] = {
        **ResourceSerializer.serializer_field_mapping,
        JsonColumn: AnyJsonField,
    }

    class Meta(ResourceSerializer.Meta):
        model = AuditEvent
        fields = (
            "environment", "created_at", "remote_addr", "user_agent", "audit_type", "method", "path", "code", "body",
            "response", "status", "member_id", "account_id", "integration_id", "bridge_group_id",
        )  # fmt: skip
        read_only = fields
        optional = ("body", "response", "status", "member_id", "account_id", "integration_id", "bridge_group_id")
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "environment": {"help_text": "Environment of the account it is about; empty if it is about none."},
            "created_at": {"help_text": "When it was done or refused."},
            "remote_addr": {"help_text": "Address of the caller; empty for what the service did by itself."},
            "user_agent": {"help_text": "What the caller says it is."},
            "audit_type": {"help_text": "`API` a change, `ERROR` a refused one, `ALARM` a sign of an attack."},
            "method": {"help_text": "Method of the request; `POST` for what the service did by itself."},
            "path": {"help_text": "Path of the request; empty for what the service did by itself."},
            "code": {"help_text": "Status code of the answer."},
            "body": {"help_text": "Body of the request. Secrets, and members that the schema lacks, are `***`."},
            "response": {"help_text": "Why it was refused; of some changes, more about what was done."},
            "status": {"help_text": "`done`, or the slug of the problem's type."},
            "member_id": {"help_text": "The member who did it."},
            "account_id": {"help_text": "The account it is about."},
            "integration_id": {"help_text": "The integration it is about."},
            "bridge_group_id": {"help_text": "The bridge group it is about."},
        }
