"""Decisions that were kept, read again: made anew from what was known, and compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from portal.models import AuditEvent
from rights import territories
from rights.consent import consent
from rights.models import Channel, Decision, DecisionLine, Purpose, Recording

# So many lines that came out differently are told one by one.
TOLD = 50


@dataclass(frozen=True)
class Difference:
    """A recording whose line is not what was kept. `kept` or `now` is None where it is missing."""

    recording_id: int
    recording: str
    kept: consent.RecordingAnswer | None
    now: consent.RecordingAnswer | None


@dataclass(frozen=True)
class Replay:
    """What a replay gave. `refusal` says why there was none; then there are no digests."""

    decision: Decision
    digest: str = ""
    input_digest: str = ""
    differences: Sequence[Difference] = field(default_factory=list)
    refusal: str = ""

    @property
    def same(self) -> bool:
        """Byte for byte: what went in and what came out."""
        return (
            not self.refusal
            and self.digest == self.decision.output_digest
            and self.input_digest == self.decision.input_digest
        )


def replay(decision: Decision) -> Replay:
    """Make the decision anew, and say line by line what differs from what was kept."""
    try:
        verdict = consent.replay(decision)
    except consent.PolicyChanged as changed:
        return Replay(decision, refusal=str(changed))
    found = Replay(decision, digest=verdict.digest, input_digest=verdict.input_digest)
    if found.same:
        return found
    return Replay(
        decision,
        digest=verdict.digest,
        input_digest=verdict.input_digest,
        differences=_differences(decision, verdict),
    )


def _differences(decision: Decision, verdict: consent.Verdict) -> list[Difference]:
    rows = DecisionLine.objects.filter(decision=decision).order_by("recording")
    kept = {
        row.recording_id: consent.RecordingAnswer(row.allowed, row.reasons, row.grants)
        for row in rows.iterator()
    }
    wrong = [
        pk
        for pk in sorted(kept.keys() | verdict.keys())
        if pk not in kept or pk not in verdict or _essence(kept[pk]) != _essence(verdict[pk])
    ][:TOLD]
    titles = dict(Recording.objects.filter(pk__in=wrong).values_list("pk", "title"))
    return [
        Difference(pk, titles.get(pk, f"recording {pk}"), kept.get(pk), verdict.get(pk))
        for pk in wrong
    ]


def _essence(line: consent.RecordingAnswer) -> object:
    """Without names and sentences, as a verdict's canonical bytes have it."""
    reasons = [
        (r["code"], r["right"], r["party_id"], r["work_id"], r["grant_id"], r.get("through_id"))
        for r in line.reasons
    ]
    return line.allowed, line.grant_ids, reasons


def context_in_words(decision: Decision) -> dict[str, str]:
    """What was asked, term by term."""
    asked = consent.Context(**decision.context)
    said = {
        "Purpose": str(Purpose(asked.purpose).label),
        "Territory": territories.names().get(asked.territory, asked.territory),
        "Model family": asked.model_family,
        "Model version": str(asked.model_version),
        "Product": asked.product or "none named",
    }
    if asked.channel:
        said["Channel"] = str(Channel(asked.channel).label)
    return said


@dataclass(frozen=True)
class Counts:
    """Of how many recordings a decision was asked, and how many it denied."""

    asked: int
    denied: int


def counts(decisions: Iterable[Decision]) -> dict[int, Counts]:
    """By decision, as its audit line has them: counting the lines of a page of large decisions
    would take seconds."""
    told = AuditEvent.objects.filter(
        verb="consent.decided",
        subject_type=Decision._meta.label_lower,
        subject_id__in=[str(decision.pk) for decision in decisions],
    )
    return {
        int(pk): Counts(body.get("recordings", 0), body.get("denied", 0))
        for pk, body in told.values_list("subject_id", "body")
    }
