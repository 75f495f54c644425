"""Permission sets on the wire, and the part of an organization in which one holds."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from core.columns import is_id
from core.fields import EnumField, ListField, StringField
from core.references import absent
from core.serializers import StrictSerializer
from core.tenancy import current_scope
from identity.permissionsets.sets import ANY, Permissions
from identity.suborganizations.models import SubOrganization

ENVIRONMENTS = ("test", "prod")
# Kind of object -> the contract's name of what is allowed of it, and the verbs there are.
_ACTIONS = {
    "all": ("ReadWritePermissions", "read *"),
    "accounts": ("AccountsPermissions", "list create get update patch delete *"),
    "alarms": ("AlarmsPermissions", "list get mode priority clear *"),
    "alarm_policies": ("AlarmPoliciesPermissions", "get update patch *"),
    "audit": ("AuditPermissions", "list *"),
    "auth": ("AuthPermissions", "logon change_password logoff *"),
    "billing": ("BillingPermissions", "list get *"),
    "bridges": ("BridgesPermissions", "list create get update patch delete status *"),
    "credentials": ("CredentialsPermissions", "list create get update patch delete lookup *"),
    "customs": ("CustomsPermissions", "list create get update patch delete *"),
    "integrations": ("IntegrationsPermissions", "list create get update patch delete list_account verify *"),
    "integration_points": ("IntegrationPointsPermissions", "list create get update patch delete *"),
    "operations": ("OperationsPermissions", "list list_history *"),
    "mappings": ("MappingsPermissions", "list create get update patch delete apply *"),
    "members": ("MembersPermissions", "list create get update patch delete *"),
    "organizations": ("OrganizationPermissions", "get update patch *"),
    "permission_set": ("PermissionSetPermissions", "list get *"),
    "roles": ("RolesPermissions", "list create get update patch delete *"),
    "status": ("StatusPermissions", "list get reset list_events timeseries integration_timeseries *"),
    "suborgs": ("SubOrgsPermissions", "list create get delete *"),
    "tokens": (
        "TokensPermissions",
        "list create create_integration create_synqly_integrations provision delete get "
        "reset rotate refresh remove_secondary *",
    ),
    "transforms": ("TransformsPermissions", "list create get update patch delete *"),
    "webhooks": ("WebhooksPermissions", "list create get update patch delete *"),
    "idp": ("IdpPermissions", "get create update delete *"),
}
MAPPED = tuple(_ACTIONS)


class RoleOrganizationsSerializer(StrictSerializer):
    """The organizations a token is good for: the caller's own and those below it, by id, or all of them as `*`."""

    examples: ClassVar[dict[str, Any]] = {"labels": []}

    ids = ListField(child=StringField(max_length=36), min_length=1, help_text="Organization ids, or `*` for all.")
    labels = ListField(
        child=StringField(max_length=48), required=False, max_length=0, help_text="No organization has labels."
    )

    def validate_ids(self, ids: list[str]) -> list[str]:
        return _refuse_absent([i for i in ids if i != current_scope().organization_id], ids, _organizations_not_below)


class RoleAccountsSerializer(StrictSerializer):
    """The accounts a token is good for. All that is given must pass."""

    ids = ListField(child=StringField(max_length=36), min_length=1, help_text="Account ids, or `*` for all.")
    labels = ListField(
        child=StringField(max_length=48),
        required=False,
        min_length=1,
        help_text="The account carries one of these.",
    )
    environments = ListField(
        child=EnumField(ENVIRONMENTS),
        required=False,
        min_length=1,
        help_text="The account is in one of these.",
    )

    def validate_ids(self, ids: list[str]) -> list[str]:
        return _refuse_absent(ids, ids, lambda given: absent("account", [i for i in given if is_id(i)]))


def _organizations_not_below(ids: list[str]) -> list[str]:
    wanted = [each for each in ids if is_id(each)]
    below = set(SubOrganization.objects.filter(id__in=wanted).values_list("id", flat=True)) if wanted else set()
    return [each for each in ids if each not in below]


def _refuse_absent(given: list[str], ids: list[str], find_absent: Any) -> list[str]:
    named = [each for each in given if each != ANY]
    wrong = {*find_absent(named), *(each for each in named if not is_id(each))}
    if wrong:
        message: Any = {i: ["does not exist"] for i, each in enumerate(ids) if each in wrong}
        raise serializers.ValidationError(message)
    return ids


class RoleIntegrationsSerializer(StrictSerializer):
    """The categories of integrations a token is good for."""

    categories = ListField(
        child=StringField(max_length=64),
        min_length=1,
        help_text="Categories such as `ticketing`, or `*` for all.",
    )


class ResourcesSerializer(StrictSerializer):
    """The part of the organization a token is good for; what is left out is not restricted."""

    organizations = RoleOrganizationsSerializer(required=False, help_text="Which organizations.")
    accounts = RoleAccountsSerializer(required=False, help_text="Which accounts.")
    integrations = RoleIntegrationsSerializer(required=False, help_text="Which integrations.")


class AdhocRoleSerializer(serializers.Serializer[Any]):
    """What a token grants."""

    resources = ResourcesSerializer(help_text="Where.")
    permission_set = EnumField(Permissions, help_text="Which verbs.")


def _actions_field(name: str, verbs: str) -> serializers.Serializer[Any]:
    actions = ListField(child=EnumField(verbs.split()), help_text="The verbs; `*` is every one.")
    members = {"__doc__": "What is allowed of one kind of object.", "actions": actions}
    serializer_class: Any = type(f"{name}Serializer", (serializers.Serializer,), members)
    field: serializers.Serializer[Any] = serializer_class(required=False, help_text="What is allowed of these.")
    return field


ApiPermissionMapSerializer: Any = type(
    "ApiPermissionMapSerializer",
    (serializers.Serializer,),
    {
        "__doc__": "What is allowed, by kind of object; `all` stands for every kind.",
        **{resource: _actions_field(name, verbs) for resource, (name, verbs) in _ACTIONS.items()},
    },
)


class PermissionSetSerializer(serializers.Serializer[Any]):
    """What a role or a token can allow."""

    name = EnumField(Permissions, help_text="Its name.")
    description = StringField(required=False, help_text="When to use it.")
    resource_restrictions = ListField(
        child=EnumField(("accounts", "integrations")),
        required=False,
        help_text="By what a role or token with this set can be restricted.",
    )
    permissions = ApiPermissionMapSerializer(help_text="What it allows.")
