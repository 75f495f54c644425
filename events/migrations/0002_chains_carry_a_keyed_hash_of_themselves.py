"""Each organization gets a chain, and each chain a keyed hash of its row. It trusts what is there now."""

from typing import Any

import orjson
from django.db import migrations, models

import core.columns
from core.instants import format_instant
from core.crypto.hashing import keyed_hash


def complete_chains(apps: Any, schema_editor: Any) -> None:
    organizations = apps.get_model("organizations", "Organization").objects
    chains, events = (apps.get_model("events", name).objects for name in ("AuditChain", "AuditEvent"))
    for organization_id in organizations.values_list("id", flat=True).iterator():
        log = events.filter(organization_id=organization_id)
        last = log.aggregate(last=models.Max("created_at"))["last"]
        chain = chains.filter(organization_id=organization_id).first()
        if chain is None:
            if last is not None:
                continue  # somebody took it out, which is to be seen
            chain = chains.model(organization_id=organization_id)
        chain.ended_at = format_instant(last) if last is not None else ""
        digest, pruned_digest = bytes(chain.digest).hex(), bytes(chain.pruned_digest).hex()
        values = [organization_id, chain.sequence, digest, chain.ended_at, chain.pruned_sequence, pruned_digest]
        chain.mac = keyed_hash("chain" + orjson.dumps(values).decode(), "audit")
        chain.save()


class Migration(migrations.Migration):

    dependencies = [
        ("core", "0001_first_tables"),
        ("events", "0001_first_tables"),
    ]

    operations = [
        migrations.AddField(
            model_name="auditchain",
            name="ended_at",
            field=core.columns.TextColumn(default="", max_length=27),
        ),
        migrations.AddField(
            model_name="auditchain",
            name="mac",
            field=models.BinaryField(default=bytes),
        ),
        migrations.RunPython(complete_chains, migrations.RunPython.noop),
    ]
