import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('experiments', '0006_lineage'),
        ('rights', '0007_signals_and_imported_keys'),
    ]

    operations = [
        migrations.CreateModel(
            name='DatasetHold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('use', models.CharField(choices=[('eval', 'Evaluation and listening tests'), ('train.analysis', 'Training of classifiers and embeddings'), ('train.generative', 'Training of generative models'), ('finetune', 'Fine-tuning on a named artist or catalogue'), ('condition', 'Reference audio at generation'), ('stems', 'Separation and reuse of stems'), ('derive.remix', 'Remixes'), ('derive.cover', 'Covers'), ('voice', 'Voice models'), ('likeness.name', "Use of the artist's name"), ('style.named', 'Named style'), ('distribute', 'Distribution of outputs')], max_length=30)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='held', to='experiments.dataset')),
                ('hold', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='rights.hold')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('dataset', 'use'), name='dataset_held_once_per_use')],
            },
        ),
    ]
