"""The tables as migration time leaves them, for a new database: one step instead of many."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import portal.database.tables


class Migration(migrations.Migration):

    replaces = [('listening', '0001_initial'), ('listening', '0002_initial'), ('listening', '0003_audience'), ('listening', '0004_what_was_heard'), ('listening', '0005_time_since_reports')]

    initial = True

    dependencies = [
        ('audio_samples', '0001_squashed_0014_deleted_sounds'),
        ('experiments', '0001_squashed_0033_reports'),
        ('portal', '0001_squashed_0004_failed_tries'),
    ]

    operations = [
        portal.database.tables.CreateModels(
            models=[
                migrations.CreateModel(
                    name='ListeningTest',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('title', models.CharField(max_length=150)),
                        ('question', models.CharField(max_length=300)),
                        ('low_label', models.CharField(default='Bad', max_length=60)),
                        ('high_label', models.CharField(default='Excellent', max_length=60)),
                        ('audience', models.CharField(choices=[('internal', "The lab's researchers only"), ('outside', 'Listeners from outside, too')], default='outside', max_length=10)),
                        ('seed', models.BigIntegerField()),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('closed_at', models.DateTimeField(blank=True, null=True)),
                        ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='listening_tests', to='experiments.project')),
                    ],
                    options={
                        'ordering': ['-created_at'],
                    },
                ),
                migrations.CreateModel(
                    name='Item',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('code', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('sample', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='audio_samples.sample')),
                        ('test', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='listening.listeningtest')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('test', 'sample'), name='sample_once_per_test')],
                    },
                ),
                migrations.CreateModel(
                    name='Rating',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('score', models.SmallIntegerField()),
                        ('changes', models.IntegerField(default=0)),
                        ('answered_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('heard', models.CharField(blank=True, choices=[('whole', 'Heard whole'), ('part', 'Heard in part'), ('unmeasured', 'Sent, not measured'), ('', 'Not recorded')], default='', max_length=10)),
                        ('seconds_heard', models.FloatField(blank=True, null=True)),
                        ('share_heard', models.FloatField(blank=True, help_text='Of the clip, 0 to 1.', null=True)),
                        ('plays', models.IntegerField(blank=True, null=True)),
                        ('first_played_at', models.DateTimeField(blank=True, null=True)),
                        ('muted', models.BooleanField(blank=True, null=True)),
                        ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ratings', to='listening.item')),
                        ('listener', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ratings', to=settings.AUTH_USER_MODEL)),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('heard__in', ('whole', 'part')), ('seconds_heard__isnull', False)), models.Q(('heard__in', ('', 'unmeasured')), ('seconds_heard__isnull', True)), _connector='OR'), name='heard_is_measured'), models.UniqueConstraint(fields=('item', 'listener'), name='one_rating_per_listener'), models.CheckConstraint(condition=models.Q(('score__gte', 1), ('score__lte', 5)), name='score_1_to_5')],
                    },
                ),
                migrations.CreateModel(
                    name='Hearing',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('first_fetched_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('first_played_at', models.DateTimeField(blank=True, null=True)),
                        ('stretches', models.JSONField(default=list)),
                        ('plays', models.IntegerField(default=0)),
                        ('muted', models.BooleanField(default=False, help_text='Some of it was played without sound.')),
                        ('reported_at', models.DateTimeField(blank=True, null=True)),
                        ('clock_ms', models.BigIntegerField(default=0)),
                        ('listener', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='hearings', to=settings.AUTH_USER_MODEL)),
                        ('item', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='hearings', to='listening.item')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('item', 'listener'), name='one_hearing_per_listener')],
                    },
                ),
            ],
        ),
    ]
