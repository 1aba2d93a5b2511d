"""Whole originals: who may have the file of a recording, and who hears the marked preview.

Whole files are for rights admins, for the people of its holders, and for whom a room above names:
members of projects whose dataset holds it (experiments/clearance/originals.py). Everybody else in
the lab hears thirty marked seconds, where listening and measuring is allowed, and nothing where it
is not. Each whole file that is fetched leaves a line in the audit log: one for each person,
recording and way within an hour, however many parts a browser asks it in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.database import commit_order
from portal.models import AuditEvent, AuditEventQuerySet, Role, User
from rights.consent import consent
from rights.grants import choices
from rights.models import Recording, Use
from rights.withdrawal import holds

VERB = "recording.fetched"
# Within it a person who plays a recording again has not fetched it again.
ONE_SITTING = timedelta(hours=1)

NOT_ALLOWED = (
    "You may not hear this recording. The whole of it is for its holders and for projects whose "
    "dataset holds it, and there is no preview of it, because evaluation and listening are not "
    "allowed."
)

Rule = Callable[[Recording, User, Use | None], bool]
_rules: list[Rule] = []


@dataclass(frozen=True)
class Access:
    """What somebody gets of a recording. `why` is a sentence where it is nothing."""

    whole: bool
    preview: bool = False
    why: str = ""


def register(rule: Rule) -> None:
    """`rule` says whether a person may have the whole recording, by what its room knows; with a
    use: for that use alone."""
    _rules.append(rule)


def access(recording: Recording, user: User) -> Access:
    """Of a recording that the person may see."""
    if may_have(recording, user):
        return Access(whole=True)
    line = consent.evaluate([recording], Use.EVAL, choices.USUAL)[recording.pk]
    if line.allowed:
        return Access(whole=False, preview=True)
    # Who says no stands on its page, for whom may read that: a refusal names nobody.
    return Access(whole=False, why=NOT_ALLOWED)


def may_have(recording: Recording, user: User, use: Use | None = None) -> bool:
    """Whether the whole file is theirs to fetch; of a stem, for the use of stems."""
    if user.has_role(Role.RIGHTS_ADMIN):
        return True
    if user.has_role(Role.RIGHTSHOLDER) and holds.holders(recording).filter(people=user).exists():
        return True
    return any(rule(recording, user, use) for rule in _rules)


def write_down(recording: Recording, *, by: User, how: str) -> None:
    """That this person has fetched the whole of it; `how` is "page", or "stem:7"."""
    if _lines(recording, by, how).exists():
        return
    with transaction.atomic():
        commit_order.moment()
        # Two parts that are asked for at once are one sitting.
        if not _lines(recording, by, how).exists():
            audit.record(by=by, verb=VERB, subject=recording, how=how, audio=recording.audio_id)


def _lines(recording: Recording, by: User, how: str) -> AuditEventQuerySet:
    return AuditEvent.objects.filter(
        subject_type=recording._meta.label_lower,
        subject_id=str(recording.pk),
        verb=VERB,
        actor=by,
        at__gt=timezone.now() - ONE_SITTING,
        body__how=how,
    )
