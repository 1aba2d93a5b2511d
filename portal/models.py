"""Who uses the portal, what they may reach by token, which bytes are kept, and what was done."""

import hashlib
import secrets
from datetime import datetime
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils import timezone


class Role(models.TextChoices):
    RESEARCHER = "researcher", "Researcher"
    LISTENER = "listener", "Listener"
    RIGHTS_ADMIN = "rights_admin", "Rights admin"
    RIGHTSHOLDER = "rightsholder", "Rightsholder"
    OPERATOR = "operator", "Operator"


class User(AbstractUser):
    """A person. What they may do follows from their roles and their project memberships."""

    roles = models.JSONField(default=list, blank=True)

    objects: ClassVar[UserManager[Self]] = UserManager()

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username

    def has_role(self, *roles: Role) -> bool:
        return any(role.value in self.roles for role in roles)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self, *, at: datetime | None = None) -> Self:
        at = at or timezone.now()
        return self.filter(revoked_at=None).filter(
            models.Q(expires_at=None) | models.Q(expires_at__gt=at)
        )


class ApiToken(models.Model):
    """A bearer token; only its SHA-256 is stored.

    A scope is `api` (everything its user may do) or `run:<run id>` (that run alone).
    """

    user = models.ForeignKey(User, models.CASCADE, related_name="tokens")
    label = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    digest = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=80, default="api")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    @staticmethod
    def digest_of(secret: str) -> str:
        # The secret has 256 random bits, so a plain hash is enough: nothing can be guessed from it.
        return hashlib.sha256(secret.encode()).hexdigest()

    @staticmethod
    def new_secret() -> str:
        return "bl_" + secrets.token_urlsafe(32)


class Blob(models.Model):
    """Bytes in storage, named by their SHA-256; the bytes are portal/storage's business."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)


class AuditEvent(models.Model):
    """One line of the hash chain: who did what to which object. Written by portal/audit.py only."""

    seq = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    actor = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    actor_label = models.CharField(max_length=150)
    verb = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=80)
    body = models.JSONField(default=dict)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["seq"]
        indexes = [models.Index(fields=["subject_type", "subject_id"], name="audit_by_subject")]
