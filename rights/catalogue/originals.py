"""Originals: who may fetch the whole file of a recording, and who hears the marked preview.

Whole files are for rights admins, for the people of the recording's holders, and for the people
that a package above names: members of projects whose dataset contains it
(experiments/clearance/originals.py). Everybody else in the lab hears thirty marked seconds where
evaluation is permitted, and nothing where it is not. Each fetch of a whole file leaves a line in
the audit log, one for each person, recording and way within an hour.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from portal import audit
from portal.models import Role, User
from rights.consent import consent
from rights.grants import choices
from rights.models import Recording, Use
from rights.withdrawal import holds

VERB = "recording.fetched"
# A person who plays a recording again within this time has not fetched it again.
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
    """What somebody may get of a recording. `why` is the refusal where that is nothing."""

    whole_file: bool
    preview: bool = False
    why: str = ""


def register(rule: Rule) -> None:
    """Register a rule of another package: whether a person may have the whole file of a recording;
    with a use, for that use alone."""
    _rules.append(rule)


def access(recording: Recording, user: User) -> Access:
    """Return what the person may get of a recording that they may see."""
    if may_have(recording, user):
        return Access(whole_file=True)
    line = consent.evaluate([recording], Use.EVAL, choices.USUAL)[recording.pk]
    if line.allowed:
        return Access(whole_file=False, preview=True)
    # The refusal names nobody; who refused is on the recording's page, for those who may read it.
    return Access(whole_file=False, why=NOT_ALLOWED)


def may_have(recording: Recording, user: User, use: Use | None = None) -> bool:
    """Whether they may fetch the whole file; with a use, whether they may for that use."""
    if user.has_role(Role.RIGHTS_ADMIN):
        return True
    if user.has_role(Role.RIGHTSHOLDER) and holds.holders(recording).filter(people=user).exists():
        return True
    return any(rule(recording, user, use) for rule in _rules)


def record_fetch(recording: Recording, *, by: User, how: str) -> None:
    """Record that this person fetched the whole file; `how` is "page", or "stem:7"."""
    audit.record_once(
        by=by, verb=VERB, subject=recording, key={"how": how}, within=ONE_SITTING,
        body=lambda: {"audio": recording.audio_id},
    )  # fmt: skip
