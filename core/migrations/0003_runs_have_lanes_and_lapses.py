"""Runs count the claims in a row that came to nothing and have a lane; the first of an organization has an index."""

from django.db import migrations, models

from core.columns import IdColumn


class Migration(migrations.Migration):
    dependencies = [("core", "0002_limits")]
    operations = [
        migrations.AddField("run", "lapses", models.PositiveIntegerField(default=0)),
        migrations.AddField("run", "lane_id", IdColumn(null=True)),
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["organization_id", "due_at"],
                name="run_by_organization",
                condition=models.Q(("due_at__isnull", False)),
            ),
        ),
    ]
