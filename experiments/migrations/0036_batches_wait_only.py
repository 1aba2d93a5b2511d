from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("experiments", "0035_pack_folded_batches")]
    operations = [
        migrations.RemoveIndex(model_name="batch", name="batch_not_yet_folded"),
        migrations.RemoveField(model_name="batch", name="folded"),
        migrations.RemoveField(model_name="batch", name="received_at"),
    ]
