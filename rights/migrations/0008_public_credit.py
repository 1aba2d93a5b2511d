from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("rights", "0007_signals_and_imported_keys"),
    ]

    operations = [
        migrations.AddField(
            model_name="party",
            name="public_credit",
            field=models.CharField(
                choices=[
                    ("name", "By name"),
                    ("wording", "In other words"),
                    ("unnamed", "Not named: counted only"),
                ],
                default="name",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="party",
            name="public_wording",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="party",
            name="public_titles",
            field=models.BooleanField(
                default=False, help_text="Titles of its recordings may be listed."
            ),
        ),
        migrations.AddField(
            model_name="party",
            name="public_after",
            field=models.BooleanField(
                default=False,
                help_text="Named also after it withdrew, on models that stay by agreement.",
            ),
        ),
    ]
