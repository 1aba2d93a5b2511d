"""The tables as migration failed leaves them, for a new database: one step instead of many."""

import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import portal.database.tables


class Migration(migrations.Migration):

    replaces = [('portal', '0001_initial'), ('portal', '0002_signed_roots'), ('portal', '0003_endings_position'), ('portal', '0004_failed_tries')]

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        portal.database.tables.CreateModels(
            models=[
                migrations.CreateModel(
                    name='AuditEvent',
                    fields=[
                        ('seq', models.BigIntegerField(primary_key=True, serialize=False)),
                        ('form', models.PositiveSmallIntegerField(default=1)),
                        ('at', models.DateTimeField()),
                        ('actor_label', models.CharField(max_length=150)),
                        ('verb', models.CharField(max_length=60)),
                        ('subject_type', models.CharField(max_length=60)),
                        ('subject_id', models.CharField(max_length=80)),
                        ('body', models.JSONField(default=dict)),
                        ('prev_hash', models.CharField(max_length=64)),
                        ('hash', models.CharField(max_length=64, unique=True)),
                        ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                    ],
                    options={
                        'ordering': ['seq'],
                        'indexes': [models.Index(fields=['subject_type', 'subject_id'], name='audit_by_subject')],
                    },
                ),
                migrations.CreateModel(
                    name='Blob',
                    fields=[
                        ('sha256', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('size', models.BigIntegerField()),
                        ('media_type', models.CharField(max_length=100)),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ],
                ),
                migrations.CreateModel(
                    name='EndingsPosition',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('journal', models.CharField(max_length=60)),
                        ('number', models.BigIntegerField()),
                    ],
                ),
                migrations.CreateModel(
                    name='LogRoot',
                    fields=[
                        ('size', models.BigIntegerField(primary_key=True, serialize=False)),
                        ('root', models.CharField(max_length=64)),
                        ('at', models.DateTimeField()),
                        ('portal', models.CharField(max_length=200)),
                        ('previous', models.CharField(max_length=64, unique=True)),
                        ('key_id', models.CharField(max_length=16)),
                        ('signature', models.CharField(max_length=128)),
                        ('frontier', models.JSONField()),
                    ],
                    options={
                        'ordering': ['size'],
                    },
                ),
                migrations.CreateModel(
                    name='User',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('password', models.CharField(max_length=128, verbose_name='password')),
                        ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                        ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                        ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                        ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                        ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                        ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                        ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                        ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                        ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                        ('roles', models.JSONField(blank=True, default=list)),
                        ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                        ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
                    ],
                    options={
                        'verbose_name': 'user',
                        'verbose_name_plural': 'users',
                        'abstract': False,
                    },
                    managers=[
                        ('objects', django.contrib.auth.models.UserManager()),
                    ],
                ),
                migrations.CreateModel(
                    name='ApiToken',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('label', models.CharField(max_length=100)),
                        ('prefix', models.CharField(max_length=12)),
                        ('digest', models.CharField(max_length=64, unique=True)),
                        ('scope', models.CharField(default='api', max_length=80)),
                        ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                        ('expires_at', models.DateTimeField(blank=True, null=True)),
                        ('revoked_at', models.DateTimeField(blank=True, null=True)),
                        ('last_used_at', models.DateTimeField(blank=True, null=True)),
                        ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tokens', to=settings.AUTH_USER_MODEL)),
                    ],
                ),
                migrations.CreateModel(
                    name='AuditPrivate',
                    fields=[
                        ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='kept', serialize=False, to='portal.auditevent')),
                        ('salt', models.CharField(max_length=32)),
                        ('values', models.JSONField()),
                    ],
                ),
                migrations.CreateModel(
                    name='FailedTry',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('key', models.CharField(max_length=64)),
                        ('at', models.DateTimeField()),
                    ],
                    options={
                        'indexes': [models.Index(fields=['key', 'at'], name='failed_try_by_key'), models.Index(fields=['at'], name='failed_try_by_time')],
                    },
                ),
            ],
        ),
    ]
