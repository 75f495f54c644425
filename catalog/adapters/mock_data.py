"""The made-up data of mock providers: one stream for each operation, in the manner of OCSF."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from typing import Any

Chance = random.Random
SEVERITIES = ("informational", "low", "medium", "high", "critical")
SYSTEMS = (("Windows 11", "windows"), ("Ubuntu 24.04", "linux"), ("macOS 15", "macos"))
PEOPLE = ("ada", "boris", "chen", "dalia", "emre", "fatou", "grace", "hugo", "ines", "jun")
PRODUCTS = ("browser", "mail client", "office suite", "terminal", "virtual private network")
REGIONS = ("eu-west-1", "eu-central-1", "us-east-1", "ap-south-1")
MODIFIED, CREATED = "modified_time", "created_time"


@dataclasses.dataclass(frozen=True, slots=True)
class Stream:
    """What an operation reads: objects that change, or events that happen once.

    `make` gets the chance that stays with the object and the one of its version.
    """

    make: Callable[[Chance, Chance], dict[str, Any]]
    time_fields: tuple[str, ...] = (MODIFIED, CREATED)  # the first is what is looked at unless said otherwise
    size: int = 120  # objects, or events a day
    is_event: bool = False

    @property
    def time_field(self) -> str:
        return self.time_fields[0]


def _address(chance: Chance) -> str:
    return f"10.{chance.randint(0, 255)}.{chance.randint(0, 255)}.{chance.randint(1, 254)}"


def _person(chance: Chance) -> dict[str, Any]:
    name, number = chance.choice(PEOPLE), chance.randint(1, 999)
    return {"name": f"{name}.{number}", "email_addr": f"{name}.{number}@corp.example"}


def device(same: Chance, now: Chance) -> dict[str, Any]:
    name, kind = same.choice(SYSTEMS)
    known = {"hostname": f"{kind}-{same.randint(1000, 9999)}", "os": {"name": name, "type": kind}}
    return {"class_name": "Device Inventory Info", "device": known | {"ip": _address(now), "owner": _person(same)}}


def user(same: Chance, now: Chance) -> dict[str, Any]:
    state = now.choice(("active", "active", "active", "disabled"))
    return {"class_name": "User Inventory Info", "user": _person(same) | {"status": state}}


def group(same: Chance, now: Chance) -> dict[str, Any]:
    return {"class_name": "Group Info", "group": {"name": f"team-{same.randint(1, 999)}", "size": now.randint(1, 80)}}


def application(same: Chance, now: Chance) -> dict[str, Any]:
    product = {"name": same.choice(PRODUCTS), "version": f"{now.randint(1, 9)}.{now.randint(0, 20)}"}
    return {"class_name": "Software Inventory Info", "product": product}


def resource(same: Chance, now: Chance) -> dict[str, Any]:
    known = {"name": f"bucket-{same.randint(1, 9999)}", "type": "storage", "region": same.choice(REGIONS)}
    state = now.choice(("available", "stopped"))
    return {"class_name": "Cloud Resources Inventory Info", "resource": known | {"state": state}}


def indicator(same: Chance, now: Chance) -> dict[str, Any]:
    value = f"{same.getrandbits(128):032x}"
    return {"class_name": "Indicator", "indicator": {"type": "md5", "value": value}, "severity": now.choice(SEVERITIES)}


def score(same: Chance, now: Chance) -> dict[str, Any]:
    return {"class_name": "Posture Score", "score": now.randint(20, 100), "device": device(same, now)["device"]}


def utilization(same: Chance, now: Chance) -> dict[str, Any]:
    used = {"cpu_percent": now.randint(0, 100), "memory_percent": now.randint(5, 100)}
    return {"class_name": "Utilization", "utilization": used, "device": device(same, now)["device"]}


def scan(same: Chance, now: Chance) -> dict[str, Any]:
    state = now.choice(("started", "completed", "completed", "failed"))
    return {"class_name": "Scan Activity", "scan": {"name": f"weekly-{same.randint(1, 99)}"}, "status": state}


def finding(same: Chance, now: Chance) -> dict[str, Any]:
    number = f"CVE-{same.randint(2019, 2026)}-{same.randint(1000, 49999)}"
    found = {"title": f"{same.choice(PRODUCTS)}: {number}"}
    seen = {"severity": same.choice(SEVERITIES), "status": now.choice(("new", "in_progress", "resolved"))}
    return {"class_name": "Vulnerability Finding", "finding": found, "vulnerabilities": [{"cve": number}], **seen}


def compliance(same: Chance, now: Chance) -> dict[str, Any]:
    control = f"CIS-{same.randint(1, 18)}.{same.randint(1, 14)}"
    state = now.choice(("pass", "pass", "fail"))
    return {"class_name": "Compliance Finding", "compliance": {"control": control, "status": state}}


def event(same: Chance, now: Chance) -> dict[str, Any]:
    titles = ("Unusual sign-in", "Known malware", "Port scan", "Data sent out", "Privilege gained")
    seen = {"severity": same.choice(SEVERITIES), "message": same.choice(titles)}
    return {"class_name": "Detection Finding", **seen, "device": device(same, now)["device"], "actor": _person(same)}


def audit(same: Chance, now: Chance) -> dict[str, Any]:
    activity = same.choice(("logon", "logoff", "password change", "group change"))
    return {"class_name": "Authentication", "activity_name": activity, "actor": _person(same), "src_ip": _address(now)}


def mail(same: Chance, now: Chance) -> dict[str, Any]:
    message = {"from": f"{same.choice(PEOPLE)}@sender.example", "to": _person(same)["email_addr"]}
    return {"class_name": "Email Activity", "email": message, "severity": same.choice(SEVERITIES)}


def _happening(make: Callable[[Chance, Chance], dict[str, Any]]) -> Stream:
    return Stream(make, ("time",), size=8, is_event=True)


_SEEN = ("finding.last_seen_time", "finding.first_seen_time")
STREAMS: dict[str, Stream] = {
    "appsec_query_findings": Stream(finding, _SEEN),
    "assets_query_alerts": _happening(event),
    "assets_query_devices": Stream(device),
    "assets_query_utilization": Stream(utilization),
    "assets_query_vulnerabilities": Stream(finding, _SEEN),
    "cloudsecurity_query_cloud_resource_inventory": Stream(resource),
    "cloudsecurity_query_compliance_findings": Stream(compliance),
    "cloudsecurity_query_events": _happening(event),
    "cloudsecurity_query_ioms": Stream(compliance),
    "cloudsecurity_query_threats": _happening(event),
    "edr_query_alerts": _happening(event),
    "edr_query_applications": Stream(application),
    "edr_query_endpoints": Stream(device),
    "edr_query_iocs": Stream(indicator),
    "edr_query_posture_score": Stream(score),
    "edr_query_threatevents": _happening(event),
    "emailsecurity_query_email_events": _happening(mail),
    "emailsecurity_query_threats": _happening(mail),
    "identity_query_audit_log": _happening(audit),
    "identity_query_groups": Stream(group),
    "identity_query_groups_enriched": Stream(group),
    "identity_query_risk_events": _happening(event),
    "identity_query_users": Stream(user),
    "identity_query_users_enriched": Stream(user),
    "siem_query_events": _happening(event),
    "siem_query_investigations": Stream(event),
    "vulnerabilities_query_assets": Stream(device),
    "vulnerabilities_query_findings": Stream(finding, _SEEN),
    "vulnerabilities_query_scans": Stream(scan),
}
