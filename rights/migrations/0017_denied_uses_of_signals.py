from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("rights", "0016_previews"),
    ]

    operations = [
        migrations.AddField(
            model_name="signal",
            name="denied",
            field=models.JSONField(default=list, help_text="The uses that it denies."),
        ),
        migrations.AlterField(
            model_name="signal",
            name="scheme",
            field=models.CharField(
                choices=[
                    ("tdmrep", "TDMRep"),
                    ("cawg", "CAWG or C2PA training and data mining"),
                    ("made_by", "How it was made"),
                ],
                max_length=20,
            ),
        ),
    ]
