import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0014_run_arithmetic"),
        ("portal", "0002_signed_roots"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="checkpoint", name="checkpoint_once"),
        migrations.AddField(
            model_name="checkpoint",
            name="former",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddField(
            model_name="checkpoint",
            name="removed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="checkpoint",
            name="blob",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="portal.blob",
            ),
        ),
        migrations.AddField(
            model_name="checkpoint",
            name="digest",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Coalesce("blob_id", "former"),
                output_field=models.CharField(max_length=64),
            ),
        ),
        migrations.AddIndex(
            model_name="checkpoint",
            index=models.Index(fields=["digest"], name="checkpoint_by_digest"),
        ),
        migrations.AddConstraint(
            model_name="checkpoint",
            constraint=models.UniqueConstraint(
                condition=models.Q(("removed_at", None)),
                fields=("run", "step"),
                name="checkpoint_once",
            ),
        ),
    ]
