"""Operation schedules: what runs by itself, how often, from when."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from typing import Any

from rest_framework.exceptions import ValidationError

from catalog.customs.providers import CONNECTOR as CUSTOM
from core.durations import DurationField, parse_duration
from core.errors import Parameter, ProblemError
from core.fields import BooleanField, EnumField, InstantField, ListField, StringField
from core.serializers import StrictSerializer
from core.unions import UnionField

SHORTEST, SHORTEST_SNAPSHOT = "5m", "12h"
FULL_SNAPSHOT = "full_snapshot"
YEAR = dt.timedelta(days=366)
_AGO = re.compile(r"(\d{1,5})([dhm])\Z", re.ASCII)
OPERATIONS = (
    "assets_query_devices", "assets_query_alerts", "assets_query_utilization", "assets_query_vulnerabilities",
    "cloudsecurity_query_cloud_resource_inventory", "cloudsecurity_query_compliance_findings",
    "cloudsecurity_query_events", "cloudsecurity_query_ioms", "cloudsecurity_query_threats", "edr_query_alerts",
    "edr_query_applications", "edr_query_endpoints", "edr_query_iocs", "edr_query_posture_score",
    "edr_query_threatevents", "emailsecurity_query_threats", "emailsecurity_query_email_events",
    "endpointmanagement_query_devices", "endpointmanagement_query_compliance_findings", "identity_query_audit_log",
    "identity_query_groups", "identity_query_groups_enriched", "identity_query_risk_events", "identity_query_users",
    "identity_query_users_enriched", "siem_query_events", "siem_query_investigations", "vulnerabilities_query_assets",
    "vulnerabilities_query_findings", "vulnerabilities_query_scans", "appsec_query_findings",
)  # fmt: skip


class FrequencyRaisedError(ProblemError):
    """A schedule that reads everything each time was asked for more often than every 12 hours."""

    status = 200
    slug = "frequency-raised"
    remedy = "Nothing need be done; give `12h` or more to have it as sent."


class PeriodicFrequencySerializer(StrictSerializer):
    """At a fixed interval."""

    type = EnumField(["periodic"], help_text="`periodic`")
    value = DurationField(
        least=SHORTEST,
        most="8760h",
        days=True,
        help_text="The interval, such as `30m`, `4h` or `1d`; at least 5 minutes.",
    )


class OperationIncrementalPullConfigSerializer(StrictSerializer):
    """How much each run reads."""

    mode = EnumField(["incremental", FULL_SNAPSHOT], help_text="Only what changed, or everything.")
    time_filter_field = StringField(required=False, help_text="The field that tells what changed.")


class OperationScheduleSerializer(StrictSerializer):
    """An operation that runs by itself."""

    operation = EnumField(OPERATIONS, help_text="The operation.")
    enabled = BooleanField(help_text="Whether it runs.")
    frequency = UnionField(
        name="OperationFrequency", forms={"periodic": PeriodicFrequencySerializer}, help_text="How often it runs."
    )
    filters = ListField(
        child=StringField(max_length=1024), max_length=10, required=False, help_text="Filters such as `status[eq]open`."
    )
    backfill_from_time = StringField(
        max_length=64,
        required=False,
        help_text="Where the first run starts: a time, `7d` ago, or `max`; at most a year.",
    )
    incremental_config = OperationIncrementalPullConfigSerializer(required=False, help_text="How much each run reads.")

    def validate_backfill_from_time(self, text: str) -> str:
        stored = getattr(self.root.instance, "scheduled_operations", None) or []
        if text == "max" or any(text == schedule.get("backfill_from_time") for schedule in stored):
            return text  # what was in range when it was set stays
        start = time_ago(text, dt.datetime.now(dt.UTC)) or InstantField().to_internal_value(text)
        if start < dt.datetime.now(dt.UTC) - YEAR:
            raise ValidationError("must lie at most a year back")
        return text


def time_ago(text: str, now: dt.datetime) -> dt.datetime | None:
    """The time that `7d`, `24h` or `30m` name; None for another text."""
    ago = _AGO.match(text)
    if ago is None:
        return None
    unit = {"d": "days", "h": "hours", "m": "minutes"}[ago[2]]
    return now - dt.timedelta(**{unit: int(ago[1])})


def is_full(schedule: dict[str, Any]) -> bool:
    """Whether each execution reads everything."""
    return bool((schedule.get("incremental_config") or {}).get("mode") == FULL_SNAPSHOT)


def next_start(schedule: dict[str, Any], started_at: dt.datetime) -> dt.datetime:
    """When the execution after one is due."""
    frequency = parse_duration(schedule["frequency"]["value"])
    return started_at + (frequency or dt.timedelta(hours=12))


def operations_of(connector: str) -> Collection[str]:
    """What integrations of a connector may schedule. Of custom providers each definition says what it is."""
    return OPERATIONS if connector == CUSTOM else [each for each in OPERATIONS if each.startswith(f"{connector}_")]


def refuse_foreign_operations(schedules: list[dict[str, Any]], known: Collection[str]) -> None:
    """Raises for operations that the provider or the connector does not have."""
    wrong: Any = {
        i: {"operation": [f"is none of those that can be scheduled here: {', '.join(sorted(known)) or 'none can'}"]}
        for i, schedule in enumerate(schedules)
        if schedule["operation"] not in known
    }
    if wrong:
        raise ValidationError({"scheduled_operations": wrong})


def raise_frequencies(schedules: list[dict[str, Any]]) -> list[ProblemError]:
    """Raises the intervals of full snapshots to 12 hours, in place; says which."""
    raised: list[ProblemError] = []
    shortest = parse_duration(SHORTEST_SNAPSHOT)
    for i, schedule in enumerate(schedules):
        asked = parse_duration(schedule["frequency"]["value"])
        if is_full(schedule) and asked is not None and shortest is not None and asked < shortest:
            at = Parameter("body", f"/scheduled_operations/{i}/frequency/value", schedule["frequency"]["value"])
            raised.append(FrequencyRaisedError("a full snapshot runs every 12 hours at most: raised to `12h`", at=at))
            schedule["frequency"] = {**schedule["frequency"], "value": SHORTEST_SNAPSHOT}
    return raised
