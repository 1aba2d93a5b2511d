"""Stored decisions, replayed: evaluated again from what was known then, and compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from portal.models import AuditEvent
from rights import territories
from rights.consent import consent
from rights.models import Channel, Decision, DecisionLine, Purpose, Recording

# At most this many differing lines are listed one by one.
LISTED = 50


@dataclass(frozen=True)
class Difference:
    """A recording whose line differs from the stored one; `kept` or `now` is None if missing."""

    recording_id: int
    recording: str
    stored: consent.RecordingAnswer | None
    now: consent.RecordingAnswer | None


@dataclass(frozen=True)
class Replay:
    """The result of a replay. `refusal` says why it was not possible; then there are no digests."""

    decision: Decision
    digest: str = ""
    input_digest: str = ""
    differences: Sequence[Difference] = field(default_factory=list)
    refusal: str = ""

    @property
    def same(self) -> bool:
        """Whether input and output are the same, byte for byte."""
        return (
            not self.refusal
            and self.digest == self.decision.output_digest
            and self.input_digest == self.decision.input_digest
        )


def replay(decision: Decision) -> Replay:
    """Evaluate the decision again, and list line by line what differs from what was stored."""
    try:
        verdict = consent.replay(decision)
    except consent.PolicyChanged as error:
        return Replay(decision, refusal=str(error))
    result = Replay(decision, digest=verdict.digest, input_digest=verdict.input_digest)
    if result.same:
        return result
    return Replay(
        decision,
        digest=verdict.digest,
        input_digest=verdict.input_digest,
        differences=_differences(decision, verdict),
    )


def _differences(decision: Decision, verdict: consent.Verdict) -> list[Difference]:
    rows = DecisionLine.objects.filter(decision=decision).order_by("recording")
    stored = {
        row.recording_id: consent.RecordingAnswer(row.allowed, row.reasons, row.grants)
        for row in rows.iterator()
    }
    differing = [
        pk
        for pk in sorted(stored.keys() | verdict.keys())
        if pk not in stored or pk not in verdict or _essence(stored[pk]) != _essence(verdict[pk])
    ][:LISTED]
    titles = dict(Recording.objects.filter(pk__in=differing).values_list("pk", "title"))
    return [
        Difference(pk, titles.get(pk, f"recording {pk}"), stored.get(pk), verdict.get(pk))
        for pk in differing
    ]


def _essence(line: consent.RecordingAnswer) -> object:
    """Return the line without names and sentences, as a verdict's canonical bytes have it."""
    reasons = [
        (r["code"], r["right"], r["party_id"], r["work_id"], r["grant_id"], r.get("through_id"))
        for r in line.reasons
    ]
    return line.allowed, line.grant_ids, reasons


def context_in_words(decision: Decision) -> dict[str, str]:
    """Return the context of the decision in words, term by term."""
    context = consent.Context(**decision.context)
    labels = {
        "Purpose": str(Purpose(context.purpose).label),
        "Territory": territories.names().get(context.territory, context.territory),
        "Model family": context.model_family,
        "Model version": str(context.model_version),
        "Product": context.product or "none named",
    }
    if context.channel:
        labels["Channel"] = str(Channel(context.channel).label)
    return labels


@dataclass(frozen=True)
class Counts:
    """How many recordings a decision was asked about, and how many it denied."""

    recordings: int
    denied: int


def counts(decisions: Iterable[Decision]) -> dict[int, Counts]:
    """Return the counts by decision, from its audit line: counting the lines of a page of large
    decisions would take seconds."""
    events = AuditEvent.objects.filter(
        verb="consent.decided",
        subject_type=Decision._meta.label_lower,
        subject_id__in=[str(decision.pk) for decision in decisions],
    )
    return {
        int(pk): Counts(body.get("recordings", 0), body.get("denied", 0))
        for pk, body in events.values_list("subject_id", "body")
    }
