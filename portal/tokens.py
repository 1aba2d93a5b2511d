"""API tokens: created, shown once, stored as a digest, revoked for good."""

import time
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.database import hints
from portal.models import ApiToken, User

# Once in this many seconds is enough to see that a token is used, and saves a write per request.
NOTE_INTERVAL_SECONDS = 60.0
# When this process last tried to note a token's use. A database that takes no writes is tried
# once in a while, not at every request.
_noted: dict[str, float] = {}
MAX_NOTED = 10_000


def issue(
    user: User,
    label: str,
    scope: str = "api",
    expires_at: datetime | None = None,
    *,
    by: User | None = None,
) -> tuple[ApiToken, str]:
    """Create a token of `user`; return it and its secret, which is stored nowhere.

    `scope` is "api" (everything the user may do) or "run:<id>" (that run alone).
    `by=None` is the system, which creates the token of each run's attempt.
    """
    secret = ApiToken.new_secret()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            label=label,
            prefix=secret[:8],
            digest=ApiToken.digest_of(secret),
            scope=scope,
            expires_at=expires_at,
        )
        audit.record(by=by, verb="token.issued", subject=token, user=user.pk, scope=scope)
    return token, secret


def revoke(token: ApiToken, *, by: User | None = None) -> bool:
    """Revoke the token; true unless it was revoked before. A revoked token never works again."""
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if changed:
            audit.record(
                by=by, verb="token.revoked", subject=token, user=token.user_id, scope=token.scope
            )
    return bool(changed)


def note_use(token: ApiToken) -> None:
    """Record that the token was used, if the database is free: reading needs no write."""
    now, moment = timezone.now(), time.monotonic()
    if token.last_used_at and (now - token.last_used_at).total_seconds() < NOTE_INTERVAL_SECONDS:
        return
    if moment - _noted.get(token.digest, float("-inf")) < NOTE_INTERVAL_SECONDS:
        return
    if len(_noted) >= MAX_NOTED:
        _noted.clear()
    _noted[token.digest] = moment
    hints.write(lambda: ApiToken.objects.filter(pk=token.pk).update(last_used_at=now))
