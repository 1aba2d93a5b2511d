"""Whether recordings may be used in a given way: the one place that answers, and stores the answer.

A use needs all of these at once:

1. the master of the recording: a confirmed split that makes 100 %, and for every holder a grant;
2. the composition of each work in it: the same;
3. for uses of a person (voice, name, style): a grant by each person whose voice or person it is
   (persons.py); for a group, by each of its members.

A grant covers if use, right, subject, purpose, territory, model family and version, product,
channel and day all fit, and no condition is open; a grant by an agent of the holder covers as well.
A recording that contains another, was made from it or is the same sound needs all of this for the
other one too (relations.py); one with an open question about its sound is refused. Anything
missing, unconfirmed, disputed or unknown denies, with a reason that names the holder.

Two times make an answer replayable: `at` is the moment of the use, and `known_at` limits what was
known. Splits, credits and works say how it always was, as far as was known; grants, mandates and
opt-outs hold from their own moments on.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from portal import audit
from portal.database import bulk, commit_order
from portal.database.bulk import among
from portal.models import User
from rights import days
from rights.consent import evaluator, reasons, snapshot
from rights.consent.evaluator import Context, RecordingAnswer
from rights.consent.persons import PERSONA_USES
from rights.consent.reasons import Missing, Names, Reason, in_words
from rights.models import Decision, DecisionLine, Party, Recording, Use, Work

__all__ = [
    "PERSONA_USES",
    "POLICY_VERSION",
    "Context",
    "PolicyChanged",
    "Reason",
    "RecordingAnswer",
    "Verdict",
    "check",
    "decide",
    "evaluate",
    "ids_of",
    "in_words",
    "replay",
]  # fmt: skip

# 2027-01 asked only main artists for uses of a person, and a group as if it were a person.
POLICY_VERSION = "2027-02"


class PolicyChanged(RuntimeError):
    """The decision was made by another policy: today's rules do not say what it would have been."""


class Verdict(dict[int, RecordingAnswer]):
    """Recording id to line, by id, unknown ones last; `audio` has the digests of existing files."""

    def __init__(
        self,
        lines: dict[int, RecordingAnswer],
        *,
        audio: dict[int, str],
        at: datetime,
        known_at: datetime,
        input_digest: str,
    ) -> None:
        super().__init__(lines)
        self.audio = audio
        self.at = at
        self.known_at = known_at
        self.input_digest = input_digest

    @property
    def allowed(self) -> bool:
        """Whether every line is allowed; a verdict without lines is not."""
        return bool(self) and all(line.allowed for line in self.values())

    def canonical(self) -> bytes:
        """Return the answer without names: a replay gives the same bytes."""
        rows = [
            [pk, line.allowed, line.grant_ids,
             [[r["code"], r["right"], r["party_id"], r["work_id"], r["grant_id"], r["through_id"]]
              for r in line.reasons]]
            for pk, line in sorted(self.items())
        ]  # fmt: skip
        return json.dumps(rows, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()


Recordings = Iterable[Recording] | Iterable[int]


def check(recordings: Recordings, use: Use, context: Context, by: User | None = None) -> Decision:
    """Evaluate and store the answer permanently, with its audit line."""
    return decide(recordings, use, context, by)[0]


def decide(
    recordings: Recordings, use: Use, context: Context, by: User | None = None
) -> tuple[Decision, Verdict]:
    """Do what `check` does, and return the verdict as well.

    Inside a transaction, whoever would change what it rests on waits until its end: a permission
    that ends at the same time is either seen here, or put on hold with a later time than this
    decision.
    """
    ids = ids_of(recordings)
    with bulk.without_gc(len(ids)), transaction.atomic():
        at = commit_order.moment()
        verdict = _evaluate(ids, Use(use), context, at, at, now=True)
        decision = Decision.objects.create(
            use=use,
            context=asdict(context),
            as_of=at,
            known_at=at,
            allowed=verdict.allowed,
            policy_version=POLICY_VERSION,
            input_digest=verdict.input_digest,
            output_digest=verdict.digest,
            made_by=by,
        )
        bulk.insert(
            DecisionLine,
            ("decision_id", "recording_id", "allowed", "reasons", "grants"),
            (
                # A list of integers is valid JSON as `str` writes it.
                (decision.pk, pk, line.allowed, line.reasons, str(line.grant_ids))
                for pk, line in verdict.items()
            ),
        )
        audit.record(
            by=by,
            verb="consent.decided",
            subject=decision,
            moment=at,
            use=str(use),
            context=asdict(context),
            allowed=decision.allowed,
            recordings=len(verdict),
            denied=sum(not line.allowed for line in verdict.values()),
            input_digest=decision.input_digest,
            output_digest=decision.output_digest,
        )
    return decision, verdict


def evaluate(
    recordings: Recordings,
    use: Use,
    context: Context,
    at: datetime | None = None,
    known_at: datetime | None = None,
    *,
    made_at: datetime | None = None,
) -> Verdict:
    """Return the same answer without storing it; for a past moment with what was known at another.
    Give `made_at` for a model made then, which may stay where that was agreed.

    Moments may have any offset: terms are compared with the day in UTC (days.py)."""
    now = timezone.now()
    at, known_at = days.utc(at or now), days.utc(known_at or now)
    return _evaluate(
        ids_of(recordings), Use(use), context, at, known_at,
        now=min(at, known_at) >= now, made_at=made_at,
    )  # fmt: skip


def evaluate_uses(
    recordings: Recordings, uses: Iterable[Use], context: Context
) -> dict[Use, Verdict]:
    """Return the answers of now for several uses, with what they share read once."""
    now, ids = days.utc(timezone.now()), ids_of(recordings)
    basis = snapshot.basis_of(ids, now, now=True)
    names = Names()
    return {use: _evaluate_by(basis, ids, use, context, now, names=names) for use in uses}


def replay(decision: Decision) -> Verdict:
    """Evaluate the decision again from what was known then. If its digest is not the stored one,
    somebody changed what may not be changed. Raises PolicyChanged for another policy's decision."""
    if decision.policy_version != POLICY_VERSION:
        raise PolicyChanged(f"It was made by the policy of {decision.policy_version}.")
    ids = decision.lines.values_list("recording", flat=True)
    context = Context(**decision.context)
    return _evaluate(
        list(ids), Use(decision.use), context, decision.as_of, decision.known_at, now=False
    )


def _evaluate(
    ids: Sequence[int],
    use: Use,
    context: Context,
    at: datetime,
    known_at: datetime,
    *,
    now: bool,
    made_at: datetime | None = None,
) -> Verdict:
    with bulk.without_gc(len(ids)):
        basis = snapshot.basis_of(ids, known_at, now=now)
    return _evaluate_by(basis, ids, use, context, at, made_at=made_at, names=Names())


def _evaluate_by(
    basis: snapshot.Basis,
    ids: Sequence[int],
    use: Use,
    context: Context,
    at: datetime,
    *,
    made_at: datetime | None = None,
    names: Names,
) -> Verdict:
    """Return the verdict on what is known. `names` are those that are known already; the missing
    ones are added."""
    known_at = basis.facts.known_at
    with bulk.without_gc(len(ids)):
        facts = snapshot.for_use(basis, use, at=at)
        judge = evaluator.Judge(facts, context, at, made_at=made_at)
        judged = {music.pk: (music, *judge.judge(music)) for music in facts.recordings}
        _add_names(names, [need for _, missing, _ in judged.values() for need in missing])
        lines = {
            pk: RecordingAnswer(
                allowed=not missing,
                reasons=reasons.reasons_for(missing, music.title, use, names),
                grant_ids=covering,
            )
            for pk, (music, missing, covering) in judged.items()
        }
        for pk in ids:
            if pk not in lines:
                lines[pk] = RecordingAnswer(
                    allowed=False, reasons=[reasons.unknown()], grant_ids=[]
                )
    digest = hashlib.sha256()
    question = [POLICY_VERSION, use.value, asdict(context), at.isoformat()]
    for piece in (json.dumps(question, sort_keys=True).encode(), *facts.canonical()):
        digest.update(piece + b"\n")
    audio = {music.pk: music.audio for music in facts.recordings if music.audio}
    return Verdict(lines, audio=audio, at=at, known_at=known_at, input_digest=digest.hexdigest())


def _add_names(names: Names, all_missing: Sequence[Missing]) -> None:
    def add(
        known: dict[int, str], rows: QuerySet[Any], column: str, asked: set[int | None]
    ) -> None:
        unknown = {pk for pk in asked if pk is not None} - known.keys()
        if unknown:
            known.update(rows.filter(pk__in=among(sorted(unknown))).values_list("pk", column))

    add(names.parties, Party.objects.all(), "name", {missing.party for missing in all_missing})
    add(names.works, Work.objects.all(), "title", {missing.work for missing in all_missing})
    sources = {missing.through for missing in all_missing}
    add(names.recordings, Recording.objects.all(), "title", sources)


def ids_of(recordings: Recordings) -> list[int]:
    """Return the ids of the recordings, each once; for a queryset without reading whole rows."""
    if isinstance(recordings, QuerySet):
        return list(dict.fromkeys(recordings.values_list("pk", flat=True)))
    return list(
        dict.fromkeys(
            recording if isinstance(recording, int) else recording.pk for recording in recordings
        )
    )
