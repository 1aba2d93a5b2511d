"""Relations of recordings that come from others: added, confirmed, and ended if a mistake.

A relation counts at once: from then on a use also needs the permission of everybody who is asked
for the source, and what was made without it is put on hold. Ending it widens what may be used, so
somebody other than the person who entered it does that.
"""

from django.db import transaction
from django.db.models import Q, QuerySet

from portal import audit
from portal.database import commit_order
from portal.inputs.text import clean_line
from portal.models import User
from rights.consent import relations
from rights.errors import Refused, required
from rights.models import Recording, RecordingRelation
from rights.parties import splits
from rights.withdrawal import cases, losses

Kind = RecordingRelation.Kind


@transaction.atomic
def add_relation(
    *, by: User | None, recording: Recording, source: Recording, kind: str, note: str = ""
) -> RecordingRelation:
    """Record that a recording contains the source, was made from it or is the same sound. Raises
    Refused."""
    if kind not in Kind.values:
        raise Refused("kind", f"“{kind}” is no way to come from a recording.", field="kind")
    if recording.pk == source.pk:
        raise Refused("same", "A recording does not come from itself.", field="source")
    at = commit_order.moment()
    pair = Q(recording=recording, source=source)
    if kind == Kind.SAME_SOUND:
        # It goes both ways, whichever is named first.
        pair |= Q(recording=source, source=recording)
    if RecordingRelation.objects.filter(pair, kind=kind, ended_at=None).exists():
        raise Refused("duplicate", f"That is known of “{recording}” already.", field="source")
    watch = losses.Watch([recording, source] if kind == Kind.SAME_SOUND else [recording])
    relation = RecordingRelation.objects.create(
        recording=recording,
        source=source,
        kind=kind,
        note=clean_line(note)[:300],
        said_by=by,
        created_at=at,
    )
    audit.record(
        by=by,
        verb="recording.relation_said",
        subject=recording,
        source=source.pk,
        kind=kind,
        private={"note": relation.note},
    )
    if party := splits.first_holder(source) or splits.first_holder(recording):
        reason = f"“{relation.recording}” {relation.in_words} “{relation.source}”."
        cases.open_for_findings(by=by, party=party, watch=watch, reason=reason[:300])
    return relation


@transaction.atomic
def confirm_relation(*, by: User, relation: RecordingRelation) -> RecordingRelation:
    """Confirm a relation. Raises Refused for whoever entered it, and once confirmed or ended."""
    if relation.said_by_id == by.pk:
        raise Refused("four_eyes", "Somebody else than who said it has to confirm it.")
    unconfirmed = RecordingRelation.objects.filter(pk=relation.pk, confirmed_at=None, ended_at=None)
    if not unconfirmed.update(confirmed_by=by, confirmed_at=commit_order.moment()):
        raise Refused("state", "This was confirmed or ended already.")
    relation.refresh_from_db()
    audit.record(
        by=by,
        verb="recording.relation_confirmed",
        subject=relation.recording,
        source=relation.source_id,
        kind=relation.kind,
    )
    return relation


@transaction.atomic
def end_relation(*, by: User, relation: RecordingRelation, reason: str) -> RecordingRelation:
    """End a relation that was a mistake: the source's holders are asked no more. Raises Refused for
    whoever entered it, and where it has ended."""
    reason = required(reason, field="reason", longest=300)
    if relation.said_by_id == by.pk:
        raise Refused(
            "four_eyes",
            "Who said it does not take it back alone: it asks more people than without it. "
            "Another rights admin can.",
        )
    open_relation = RecordingRelation.objects.filter(pk=relation.pk, ended_at=None)
    if not open_relation.update(ended_by=by, ended_at=commit_order.moment(), end_reason=reason):
        raise Refused("state", "This was ended already.")
    relation.refresh_from_db()
    audit.record(
        by=by,
        verb="recording.relation_ended",
        subject=relation.recording,
        source=relation.source_id,
        kind=relation.kind,
        private={"reason": reason},
    )
    # What was withheld only for somebody who is not asked any more is permitted again.
    cases.release_settled(relations.with_derived([relation.recording, relation.source]), by=by)
    return relation


def relations_of(recording: Recording) -> QuerySet[RecordingRelation]:
    """Return the relations of the recording now, on either side."""
    rows = RecordingRelation.objects.filter(
        Q(recording=recording) | Q(source=recording), ended_at=None
    )
    return rows.select_related("recording", "source", "said_by", "confirmed_by")
