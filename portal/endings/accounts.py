"""What of accounts, tokens and erasures is done again after a restore, or told."""

from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.db import models

from portal import audit, tokens
from portal.endings.declared import Answer, Ending, JournalEntry, Outcome, declare
from portal.models import ApiToken, AuditEvent, User

# What of an account, when it is changed, may take something away.
ACCESS = frozenset({"is_active", "roles", "password"})


def _revoke(said: JournalEntry, by: User) -> Answer:
    token = ApiToken.objects.filter(pk=said.subject_id, created_at__lte=said.at).first()
    if token is None:
        return Answer(Outcome.ALREADY, "The token came after the back-up and is gone.")
    if not tokens.revoke(token, by=by):
        return Answer(Outcome.ALREADY, f"The token {token.prefix}… is revoked.")
    return Answer(Outcome.DONE, f"Revoked the token {token.prefix}… of {token.user.username}.")


def _erase(said: JournalEntry, by: User) -> Answer:
    table: type[models.Model] = apps.get_model(said.subject_type)
    what = table._default_manager.filter(pk=said.subject_id).first()
    born = getattr(what, "at" if table is AuditEvent else "created_at", None)
    if what is None or (born is not None and born > said.at):
        return Answer(Outcome.ALREADY, "What was erased came after the back-up and is gone.")
    reason = f"Erased on {said.at:%Y-%m-%d}, before the restore."
    line = audit.erase(what, by=by, reason=reason)
    name = f"{said.subject_type}:{said.subject_id}"
    if line is None:
        return Answer(Outcome.ALREADY, f"There is nothing to erase of {name}.")
    return Answer(Outcome.DONE, f"Erased the private values of the lines about {name}.")


def _account(said: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    person = User.objects.filter(pk=said.subject_id, date_joined__lte=said.at).first()
    if person is None:
        return Answer(Outcome.ALREADY, "The account came after the back-up and is gone.")
    fields = ", ".join(sorted(ACCESS.intersection(said.body["fields"])))
    return Answer(
        Outcome.BY_HAND, f"The account {person.username} was changed since ({fields}): look at it."
    )


def _takes_access(body: Mapping[str, Any]) -> bool:
    return bool(ACCESS.intersection(body.get("fields", ())))


declare(
    # The tokens of runs end by themselves.
    Ending("token.revoked", _revoke, when=lambda body: body.get("scope", "api") == "api"),
    Ending(audit.ERASED, _erase),
    Ending("person.changed", _account, when=_takes_access),
)
