import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("experiments", "0001_squashed_0033_reports")]
    operations = [
        migrations.CreateModel(
            name="FoldedBatches",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session", models.CharField(max_length=40)),
                ("index", models.IntegerField()),
                ("lowest", models.BigIntegerField()),
                ("highest", models.BigIntegerField()),
                ("count", models.IntegerField()),
                ("data", models.BinaryField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="folded_batches",
                        to="experiments.run",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("run", "session", "index"), name="folded_batches_once"
                    )
                ]
            },
        ),
    ]
