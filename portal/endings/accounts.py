"""How endings of accounts, tokens and erasures are repeated after a restore, or reported."""

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db import models

from portal import audit, tokens
from portal.endings.declared import Answer, Ending, JournalEntry, Outcome, declare
from portal.models import ApiToken, AuditEvent, User

# Fields of an account whose change may take access away.
ACCESS = frozenset({"is_active", "roles", "password"})


def _revoke(entry: JournalEntry, by: User) -> Answer:
    token = ApiToken.objects.filter(pk=entry.subject_id, created_at__lte=entry.at).first()
    if token is None:
        return Answer(Outcome.ALREADY, "The token came after the back-up and is gone.")
    if not tokens.revoke(token, by=by):
        return Answer(Outcome.ALREADY, f"The token {token.prefix}… is revoked.")
    return Answer(Outcome.DONE, f"Revoked the token {token.prefix}… of {token.user.username}.")


def _erase(entry: JournalEntry, by: User) -> Answer:
    table: type[models.Model] = apps.get_model(entry.subject_type)
    target = table._default_manager.filter(pk=entry.subject_id).first()
    created_at = getattr(target, "at" if table is AuditEvent else "created_at", None)
    if target is None or (created_at is not None and created_at > entry.at):
        return Answer(Outcome.ALREADY, "What was erased came after the back-up and is gone.")
    reason = f"Erased on {entry.at:%Y-%m-%d}, before the restore."
    line = audit.erase(target, by=by, reason=reason)
    name = f"{entry.subject_type}:{entry.subject_id}"
    if line is None:
        return Answer(Outcome.ALREADY, f"There is nothing to erase of {name}.")
    return Answer(Outcome.DONE, f"Erased the private values of the lines about {name}.")


def _account(entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    account = User.objects.filter(pk=entry.subject_id, date_joined__lte=entry.at).first()
    if account is None:
        return Answer(Outcome.ALREADY, "The account came after the back-up and is gone.")
    fields = ", ".join(sorted(ACCESS.intersection(entry.body["fields"])))
    return Answer(
        Outcome.BY_HAND, f"The account {account.username} was changed since ({fields}): look at it."
    )


def _takes_access(body: Mapping[str, Any]) -> bool:
    return bool(ACCESS.intersection(body.get("fields", ())))


declare(
    # The tokens of runs end by themselves.
    Ending("token.revoked", _revoke, when=lambda body: body.get("scope", "api") == "api"),
    Ending(audit.ERASED, _erase),
    Ending("person.changed", _account, when=_takes_access),
)
