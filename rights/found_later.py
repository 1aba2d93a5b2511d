"""What is found of a recording after it was permitted: what was made without knowing it waits.

Who is credited later is in holds.py and members.py; here is where the sound comes from.
"""

from portal.models import User
from rights import holds, persons
from rights.models import (
    Grant,
    Mandate,
    Party,
    Recording,
    RecordingRelation,
    RightType,
    SplitLine,
    SplitSheet,
)


def source(*, by: User | None, relation: RecordingRelation) -> int:
    """A recording was found to come from another: its uses, and those of what was made of it,
    need the word of the other's holders too. Of the same sound each needs the other's."""
    pairs = [(relation.recording, relation.source)]
    if relation.kind == RecordingRelation.Kind.SAME_SOUND:
        pairs.append((relation.source, relation.recording))
    placed = 0
    for recording, origin in pairs:
        party = _holder(origin) or _holder(recording)
        if party is not None:
            placed += holds.place(
                by=by,
                recordings=[recording],
                uses=_permitted(recording),
                party=party,
                reason=f"“{relation.recording}” {relation.in_words} “{relation.source}”."[:300],
            )
    return placed


def _holder(recording: Recording) -> Party | None:
    """Somebody whose word is needed for it; of its master if it has a split, else an artist."""
    line = (
        SplitLine.objects.filter(sheet__recording=recording)
        .exclude(sheet__status=SplitSheet.Status.SUPERSEDED)
        .select_related("party")
        .order_by("pk")
        .first()
    )
    if line is not None:
        return line.party
    credit = recording.credits.filter(persons.asked_for_any()).select_related("party").first()
    return credit.party if credit else None


def _permitted(recording: Recording) -> set[str]:
    """The uses that the holders of its master, or who signs for them, have permitted so that
    something may rest on it: without those nothing of it can have been used."""
    lines = SplitLine.objects.filter(sheet__recording=recording)
    parties = set(lines.values_list("party", flat=True))
    mandates = Mandate.objects.filter(holder__in=parties).exclude(approved_at=None)
    parties |= set(mandates.values_list("agent", flat=True))
    grants = Grant.objects.filter(
        persons.still_relied_on(), grantor__in=parties, right_type=RightType.MASTER
    )
    return set(grants.values_list("use", flat=True))
