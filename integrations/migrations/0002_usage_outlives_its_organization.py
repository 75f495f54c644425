from django.db import migrations, models

import core.columns


class Migration(migrations.Migration):
    dependencies = [("integrations", "0001_first_tables")]
    operations = [
        migrations.RemoveIndex(model_name="usage", name="usage_by_month"),
        migrations.RemoveIndex(model_name="usage", name="usage_by_above"),
        migrations.AlterField(  # the column stays, its foreign key goes
            model_name="usage",
            name="organization",
            field=core.columns.IdColumn(db_column="organization_id", editable=False),
        ),
        migrations.RenameField(model_name="usage", old_name="organization", new_name="organization_id"),
        migrations.AlterField(
            model_name="usage", name="organization_id", field=core.columns.IdColumn(editable=False)
        ),
        migrations.AddIndex(
            model_name="usage", index=models.Index(fields=["organization_id", "month", "id"], name="usage_by_month")
        ),
        migrations.AddIndex(
            model_name="usage",
            index=models.Index(fields=["above_id", "organization_id", "month", "id"], name="usage_by_above"),
        ),
    ]
