"""The tables as migration deleted leaves them, for a new database: one step instead of many."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import portal.database.tables


class Migration(migrations.Migration):

    replaces = [('audio_samples', '0001_initial'), ('audio_samples', '0002_initial'), ('audio_samples', '0003_flags'), ('audio_samples', '0004_references'), ('audio_samples', '0005_statements_of_ids'), ('audio_samples', '0006_no_names'), ('audio_samples', '0007_credentials'), ('audio_samples', '0008_screening'), ('audio_samples', '0009_clip_releases'), ('audio_samples', '0010_words_of_flags'), ('audio_samples', '0011_sample_sound'), ('audio_samples', '0012_prints_are_the_recordings'), ('audio_samples', '0013_several_clips_of_one_name'), ('audio_samples', '0014_deleted_sounds')]

    initial = True

    dependencies = [
        ('experiments', '0001_squashed_0033_reports'),
        ('portal', '0001_squashed_0004_failed_tries'),
        ('rights', '0001_squashed_0026_new_parties'),
    ]

    operations = [
        portal.database.tables.CreateModels(
            models=[
                migrations.CreateModel(
                    name='CreditStatement',
                    fields=[
                        ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('packed', models.BinaryField()),
                        ('mark', models.TextField(blank=True)),
                        ('learned', models.IntegerField(default=0, help_text='Recordings that the model learned from.')),
                        ('heard', models.IntegerField(default=0, help_text='Recordings that were its reference audio.')),
                        ('learned_artists', models.IntegerField(default=0)),
                        ('heard_artists', models.IntegerField(default=0)),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ],
                ),
                migrations.CreateModel(
                    name='Sample',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.CharField(max_length=200)),
                        ('step', models.BigIntegerField(default=0)),
                        ('final', models.BooleanField(default=False, help_text='Made after training, not during.')),
                        ('prompt', models.TextField(blank=True)),
                        ('seed', models.BigIntegerField(blank=True, null=True)),
                        ('take', models.BigIntegerField(default=0)),
                        ('identity', models.CharField(editable=False, max_length=64)),
                        ('sound', models.CharField(blank=True, db_index=True, default='', max_length=64)),
                        ('duration', models.FloatField(help_text='Seconds.')),
                        ('sample_rate', models.IntegerField(help_text='Hz.')),
                        ('channels', models.IntegerField()),
                        ('lufs', models.FloatField(help_text='Integrated loudness, null where silent or under 0.4 s.', null=True)),
                        ('true_peak', models.FloatField(help_text='dBTP, 4x oversampled.', null=True)),
                        ('gain_db', models.FloatField(default=0, help_text='To -23 LUFS with peaks under -1 dBTP.')),
                        ('peaks', models.JSONField(default=list)),
                        ('measures', models.JSONField(default=dict)),
                        ('references', models.JSONField(blank=True, default=list)),
                        ('withheld_at', models.DateTimeField(blank=True, null=True)),
                        ('withheld_reason', models.CharField(blank=True, max_length=500)),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('audio', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.blob')),
                        ('credit', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='samples', to='audio_samples.creditstatement')),
                        ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='samples', to='experiments.run')),
                    ],
                    options={
                        'ordering': ['-final', 'step', 'name'],
                        'indexes': [models.Index(fields=['run', 'step'], name='sample_by_step')],
                        'constraints': [models.UniqueConstraint(fields=('run', 'identity'), name='sample_once')],
                    },
                ),
                migrations.CreateModel(
                    name='Credential',
                    fields=[
                        ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ('sound', models.CharField(db_index=True, help_text='audio_samples/analysis.py', max_length=64)),
                        ('manifest', models.BinaryField(help_text='As it stands in the file (JUMBF).')),
                        ('serial', models.CharField(help_text='Of the certificate, in decimal digits.', max_length=60)),
                        ('at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('statement', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='audio_samples.creditstatement')),
                        ('sample', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credentials', to='audio_samples.sample')),
                    ],
                    options={
                        'ordering': ['-at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='ClipRelease',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('title', models.CharField(max_length=120)),
                        ('asked_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('released_at', models.DateTimeField(null=True)),
                        ('refused_at', models.DateTimeField(null=True)),
                        ('recalled_at', models.DateTimeField(null=True)),
                        ('reason', models.CharField(blank=True, help_text='Of a refusal or a recall.', max_length=300)),
                        ('answered_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('file', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.blob')),
                        ('page', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='clips', to='experiments.modelpage')),
                        ('recalled_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('credential', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='release', to='audio_samples.credential')),
                        ('sample', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='releases', to='audio_samples.sample')),
                    ],
                    options={
                        'ordering': ['-asked_at', '-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('recalled_at', None), ('refused_at', None)), fields=('sample',), name='released_once_at_a_time'), models.CheckConstraint(condition=models.Q(('answered_by', None), models.Q(('answered_by', models.F('asked_by')), _negated=True), _connector='OR'), name='clip_four_eyes'), models.CheckConstraint(condition=models.Q(('released_at', None), models.Q(('answered_by__isnull', False), ('credential__isnull', False), ('file__isnull', False)), _connector='OR'), name='clip_released_signed')],
                    },
                ),
                migrations.CreateModel(
                    name='SampleFlag',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('reason', models.CharField(max_length=1000)),
                        ('state', models.CharField(choices=[('open', 'Waiting to be looked at'), ('upheld', 'Upheld: it stays silent'), ('dismissed', 'Dismissed')], default='open', max_length=10)),
                        ('reviewed_at', models.DateTimeField(blank=True, null=True)),
                        ('note', models.CharField(blank=True, help_text='The answer to the party.', max_length=1000)),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('party', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sample_flags', to='rights.party')),
                        ('reviewed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('sample', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='flags', to='audio_samples.sample')),
                    ],
                    options={
                        'ordering': ['-created_at', '-id'],
                        'indexes': [models.Index(fields=['sample', 'state'], name='flag_by_sample'), models.Index(fields=['state', 'created_at'], name='flag_by_state')],
                        'constraints': [models.UniqueConstraint(fields=('sample', 'party'), name='flagged_once_by_party')],
                    },
                ),
                migrations.CreateModel(
                    name='Screening',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('method', models.CharField(default='landmarks', max_length=30)),
                        ('version', models.SmallIntegerField()),
                        ('index_digest', models.CharField(blank=True, max_length=64)),
                        ('indexes', models.JSONField(blank=True, default=list, help_text='SHA-256 of each.')),
                        ('outcome', models.CharField(choices=[('passed', 'Passed'), ('near_copy', 'Near copy'), ('nothing_to_compare', 'Nothing to compare with'), ('silent', 'Silent'), ('failed', 'Could not be checked')], max_length=20)),
                        ('reason', models.CharField(blank=True, help_text='Why it could not be checked.', max_length=500)),
                        ('score', models.FloatField(blank=True, null=True)),
                        ('threshold', models.FloatField(blank=True, null=True)),
                        ('hashes', models.IntegerField(default=0, help_text='That agree on one distance in time.')),
                        ('clip_at', models.FloatField(blank=True, help_text='Seconds.', null=True)),
                        ('recording_at', models.FloatField(blank=True, help_text='Seconds.', null=True)),
                        ('length', models.FloatField(blank=True, help_text='Seconds.', null=True)),
                        ('at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('answer', models.CharField(blank=True, choices=[('confirmed', 'A copy: it is withheld'), ('dismissed', 'No copy')], max_length=10)),
                        ('reviewed_at', models.DateTimeField(blank=True, null=True)),
                        ('note', models.CharField(blank=True, max_length=1000)),
                        ('recording', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='rights.recording')),
                        ('reviewed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('sample', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='screenings', to='audio_samples.sample')),
                    ],
                    options={
                        'ordering': ['-at', '-id'],
                        'indexes': [models.Index(fields=['sample', 'version', '-id'], name='screening_by_sample'), models.Index(fields=['outcome', 'answer', 'at'], name='screening_by_outcome')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('answer', ''), ('outcome', 'near_copy'), _connector='OR'), name='only_near_copies_are_answered'), models.CheckConstraint(condition=models.Q(models.Q(('outcome', 'near_copy'), _negated=True), ('recording__isnull', False), _connector='OR'), name='near_copy_of_something')],
                    },
                ),
                migrations.CreateModel(
                    name='DatasetIndex',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.SmallIntegerField()),
                        ('recordings', models.IntegerField(help_text='That are in it.')),
                        ('unread', models.JSONField(blank=True, default=list)),
                        ('made_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('blob', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portal.blob')),
                        ('dataset', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='experiments.dataset')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('dataset', 'version'), name='index_once_per_version')],
                    },
                ),
                migrations.CreateModel(
                    name='NamedArtist',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('heard', models.BooleanField(help_text='Of the reference audio.')),
                        ('place', models.SmallIntegerField()),
                        ('party', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='rights.party')),
                        ('statement', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='named', to='audio_samples.creditstatement')),
                    ],
                    options={
                        'ordering': ['heard', 'place'],
                        'constraints': [models.UniqueConstraint(fields=('statement', 'heard', 'place'), name='one_per_place')],
                    },
                ),
            ],
        ),
    ]
