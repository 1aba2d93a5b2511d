"""Users, their tokens and failed log-ins, stored bytes, the audit log and its signed roots."""

import hashlib
import secrets
from datetime import datetime
from typing import Any, ClassVar, Self

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


class FailedTry(models.Model):
    """A wrong password or code, or one whose check is under way (portal/accounts/throttle.py).

    `key` is a keyed digest of who tried and from where. Rows are deleted after an hour.
    """

    key = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["key", "at"], name="failed_try_by_key"),
            models.Index(fields=["at"], name="failed_try_by_time"),
        ]


class Blob(models.Model):
    """Bytes in storage, named by their SHA-256; portal/storage reads and writes them."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100)
    created_at = models.DateTimeField(default=timezone.now)


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    def visible_to(self, user: User) -> Self:
        """Return the log for rights admins and operators; pages show others what is theirs."""
        return self if user.has_role(Role.RIGHTS_ADMIN, Role.OPERATOR) else self.none()


class AuditEvent(models.Model):
    """One line of the hash chain: who did what to which object. Written by portal/audit only.

    `actor_label` is for people to read and is not part of the hash, which names the actor by
    id: the label may be erased, and it is no evidence.
    """

    seq = models.BigIntegerField(primary_key=True)
    # The version of the hash (portal/audit/chain.py). Lines from before version 2 have 1.
    form = models.PositiveSmallIntegerField(default=1)
    at = models.DateTimeField()
    actor = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    actor_label = models.CharField(max_length=150)
    verb = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=60)
    subject_id = models.CharField(max_length=80)
    body = models.JSONField(default=dict)
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ["seq"]
        indexes = [models.Index(fields=["subject_type", "subject_id"], name="audit_by_subject")]

    @property
    def private(self) -> "AuditPrivate | None":
        """The values outside of the hash; None where there were none, or they were erased."""
        return getattr(self, "kept", None)

    @property
    def details(self) -> dict[str, Any]:
        """The body as people read it: private values, while stored, instead of their digest."""
        body = dict(self.body)
        if self.form > 1:
            body.pop("private", None)
        return body | (self.private.values if self.private else {})


class AuditPrivate(models.Model):
    """Names and free text of one line. Deleting it (audit.erase) leaves the chain valid."""

    event = models.OneToOneField(AuditEvent, models.PROTECT, primary_key=True, related_name="kept")
    salt = models.CharField(max_length=32)
    values = models.JSONField()


class LogRoot(models.Model):
    """The signed Merkle root of the first `size` lines. Append-only."""

    size = models.BigIntegerField(primary_key=True)
    root = models.CharField(max_length=64)
    at = models.DateTimeField()
    # Whose log it is: two portals with one key sign different statements.
    portal = models.CharField(max_length=200)
    # The digest of the previous root. Unique: of two that sign at once, one fails.
    previous = models.CharField(max_length=64, unique=True)
    key_id = models.CharField(max_length=16)
    signature = models.CharField(max_length=128)
    # The subtrees from which the next root is computed without reading the earlier lines.
    frontier = models.JSONField()

    class Meta:
        ordering = ["size"]


class EndingsPosition(models.Model):
    """The last line of the journal of endings that this database knows (portal/endings). One row,
    written with each ending: a database that was restored is behind its journal, a journal that
    lost its end is behind its database."""

    journal = models.CharField(max_length=60)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.journal}: {self.number}"
