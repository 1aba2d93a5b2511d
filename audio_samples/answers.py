"""A rights admin's answer to a question about a sample: one answer, by one person, for good."""

from django.db.models import Model, QuerySet
from django.utils import timezone

from portal.models import Role, User
from rights.errors import Refused, required

LONGEST = 1000


def require_reviewer(by: User, *, questions: str, party_to_it: bool, party: str) -> None:
    """Raise Refused unless `by` is a rights admin without a part in the question.

    `questions` names what is answered, in the plural; `party` names who may not answer.
    """
    if not by.has_role(Role.RIGHTS_ADMIN):
        raise Refused("not_yours", f"A rights admin answers {questions}.")
    if party_to_it:
        raise Refused("four_eyes", f"Somebody else than who {party} has to answer it.")


def required_note(note: str) -> str:
    """Return the note that every answer carries; Refused where it is empty or too long."""
    return required(note, field="note", longest=LONGEST)


def store(
    unanswered: QuerySet[Model], row: Model, *, field: str, by: User, note: str, answer: str
) -> None:
    """Store the answer in `field` if the row is still among the `unanswered`; Refused if somebody
    has answered it before."""
    stored = unanswered.filter(pk=row.pk).update(
        **{field: answer}, reviewed_by=by, reviewed_at=timezone.now(), note=note
    )
    row.refresh_from_db()
    if not stored:
        before: str = getattr(row, f"get_{field}_display")()
        raise Refused("state", f"It is answered already: {before.lower()}.")
