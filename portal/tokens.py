"""API tokens: made once, shown once, kept as a digest, revoked for good."""

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.models import ApiToken, User


def issue(
    user: User,
    label: str,
    scope: str = "api",
    expires_at: datetime | None = None,
    *,
    by: User | None = None,
) -> tuple[ApiToken, str]:
    """A new token of `user` and its secret, which exists nowhere else from here on.

    `scope` is "api" (everything the user may do) or "run:<id>" (that run alone).
    `by=None` is the system, which makes the token of each run's attempt.
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
    """End the token; true if it was still good. A revoked token never works again."""
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if changed:
            audit.record(
                by=by, verb="token.revoked", subject=token, user=token.user_id, scope=token.scope
            )
    return bool(changed)
