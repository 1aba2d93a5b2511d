from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("portal", "0002_signed_roots"),
    ]

    operations = [
        migrations.CreateModel(
            name="EndingsPosition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("journal", models.CharField(max_length=60)),
                ("number", models.BigIntegerField()),
            ],
        ),
    ]
