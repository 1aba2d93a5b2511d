"""The copy check of samples: is a clip a near copy of the music behind it?

`screen` checks a sample, `passed` is what a release needs, `confirm` and `dismiss` are a rights
admin's answers to a near copy, `run_pass` screens the samples that wait. Sounds are compared by
audio/matching.py.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from audio import matching, prints
from audio.decoding import BadAudio
from audio_samples import analysis, answers, samples
from audio_samples.copy_check import dataset_index
from audio_samples.models import Sample, SampleQuerySet, same_sound
from audio_samples.models.copy_check import DatasetIndex, Screening
from backline.uses import ARTISTS
from experiments.clearance import attribution
from experiments.models import Dataset
from portal import audit, storage
from portal.celery import wake
from portal.database import commit_order
from portal.models import User
from rights.errors import Refused
from rights.models import Recording

Outcome = Screening.Outcome
Answer = Screening.Answer
# A task ends after this many seconds and frees its worker; the next one continues.
PASS_SECONDS = 20.0
# Samples that one pass looks up.
BATCH_SIZE = 200
TASK = "audio_samples.screen"

log = logging.getLogger(__name__)


def screen(sample: Sample) -> Screening:
    """Compare the sample with all music that its model learned from or used, and store the result.

    The same result again adds no row. Missing indexes are made here, which takes long for a large
    dataset: `run_pass` makes them in several passes. Raises portal.storage.Unreachable.
    """
    indexes = [dataset_index.load_or_make_index(dataset) for dataset in _music(sample)]
    return _store(
        sample, _screen_against(sample, [index for index in indexes if index is not None])
    )


def passed(sample: Sample) -> bool:
    """Whether the latest screening found no copy, or a rights admin answered that it is none."""
    screening = latest_screening(sample)
    if screening is None:
        return False
    return screening.outcome == Outcome.PASSED or screening.answer == Answer.DISMISSED


def latest_screening(sample: Sample) -> Screening | None:
    """Return the screening that counts: the last one by the current version of the method."""
    screenings = Screening.objects.filter(sample=sample, version=prints.VERSION)
    return screenings.select_related("recording", "reviewed_by").order_by("-pk").first()


def near_copies() -> QuerySet[Screening]:
    """Return the near copies among the screenings that count."""
    later = Screening.objects.filter(
        sample=OuterRef("sample"), version=prints.VERSION, pk__gt=OuterRef("pk")
    )
    rows = Screening.objects.filter(~Exists(later), version=prints.VERSION)
    return rows.filter(outcome=Outcome.NEAR_COPY).select_related(
        "sample__run__project", "sample__run__submitted_by", "recording", "reviewed_by"
    )


def is_suspected(sample: str) -> Exists:
    """For a row in an outer query that refers to a sample by `sample`: whether the sound, under any
    name, is a near copy that no rights admin has dismissed."""
    suspected = near_copies().exclude(answer=Answer.DISMISSED).filter(sample=OuterRef("pk"))
    return Exists(same_sound(sample).filter(Exists(suspected)))


@dataclass(frozen=True)
class ScreeningDescription:
    """A screening as a page shows it: the sample's latest, None while it waits; the artists of the
    recording it resembles, and whether the person may open that recording."""

    look: Screening | None
    artists: list[str]
    opens: bool


def describe_screening(sample: Sample, user: User) -> ScreeningDescription:
    screening = latest_screening(sample)
    if screening is None or screening.outcome != Outcome.NEAR_COPY or screening.recording is None:
        return ScreeningDescription(screening, [], opens=False)
    visible = Recording.objects.visible_to(user).filter(pk=screening.recording.pk)
    return ScreeningDescription(screening, artists(screening.recording), opens=visible.exists())


def artists(recording: Recording) -> list[str]:
    """Return the main and featured artists by their credited names."""
    credited_on = recording.credits.filter(role__in=ARTISTS).select_related("party")
    return sorted({credit.party.credit_name for credit in credited_on})


# --- A rights admin's answer -------------------------------------------------------------------


@transaction.atomic
def confirm(screening: Screening, *, by: User, note: str) -> Screening:
    """Answer that it is a copy: the sample is withheld for good."""
    answered = _answer(screening, Answer.CONFIRMED, by=by, note=note)
    samples.withhold(
        answered.sample,
        by=by,
        reason="The copy check found a stretch of a recording in it, and a rights admin agreed",
    )
    return answered


@transaction.atomic
def dismiss(screening: Screening, *, by: User, note: str) -> Screening:
    """Answer that it is no copy: the copy check does not prevent a release."""
    return _answer(screening, Answer.DISMISSED, by=by, note=note)


def _answer(screening: Screening, answer: Answer, *, by: User, note: str) -> Screening:
    note = answers.required_note(note)
    answers.require_reviewer(
        by, questions="near copies", party="queued the run",
        party_to_it=screening.sample.run.submitted_by_id == by.pk,
    )  # fmt: skip
    commit_order.moment()
    # The sample's row is the lock: a new screening comes before the answer or after it.
    Sample.objects.select_for_update(no_key=True).get(pk=screening.sample_id)
    counts = latest_screening(screening.sample)
    if counts is None or counts.pk != screening.pk:
        raise Refused("state", "The sample was looked at again since: answer the newer look.")
    unanswered = Screening.objects.filter(outcome=Outcome.NEAR_COPY, answer="")
    answers.store(unanswered, screening, field="answer", answer=answer, by=by, note=note)
    audit.record(
        by=by,
        verb=f"sample.copy_{answer}",
        subject=screening.sample,
        screening=screening.pk,
        recording=screening.recording_id,
        private={"note": note},
    )
    return screening


# --- Screening ---------------------------------------------------------------------------------


def _music(sample: Sample) -> list[Dataset]:
    return attribution.datasets(sample.run, sample.step or None)


def _screen_against(sample: Sample, indexes: Sequence[DatasetIndex]) -> Screening:
    """Return the result as a row that is not stored yet."""
    digests = [str(index.blob_id) for index in indexes]
    screening = Screening(
        sample=sample,
        version=prints.VERSION,
        indexes=digests,
        index_digest=_digest(digests),
        threshold=matching.THRESHOLD,
    )
    if not indexes:
        screening.outcome, screening.threshold = Outcome.NOTHING, None
        return screening
    try:
        with storage.open_blob(sample.file.sha256) as file:
            audio, rate, _ = analysis.decode(file)
    except FileNotFoundError:
        return _failed(screening, "The clip's file is missing from storage.")
    except BadAudio as error:
        return _failed(screening, str(error))
    clip = matching.prints_of_clip(audio, rate=rate)
    if clip.silent:
        screening.outcome = Outcome.SILENT
        return screening
    _compare(screening, clip, indexes)
    unread = [recording for index in indexes for recording in index.unread]
    if unread and screening.outcome == Outcome.PASSED:
        return _failed(screening, _unread(unread))
    return screening


def _compare(screening: Screening, clip: matching.Clip, indexes: Sequence[DatasetIndex]) -> None:
    try:
        matches = [matching.best(clip, dataset_index.open_index(index)) for index in indexes]
    except FileNotFoundError:
        _failed(screening, "The index of the music behind it is missing from storage.")
        return
    best = max((match for match in matches if match), key=lambda match: match.score, default=None)
    screening.outcome, screening.score = Outcome.PASSED, 0.0
    if best is None:
        return
    screening.outcome = Outcome.NEAR_COPY if best.near_copy else Outcome.PASSED
    screening.score, screening.hashes = best.score, best.hashes
    screening.recording_id = best.recording
    screening.clip_at, screening.recording_at, screening.length = (
        best.clip_at,
        best.recording_at,
        best.length,
    )


def _digest(digests: Sequence[str]) -> str:
    if len(digests) < 2:
        return "".join(digests)
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(digests)).encode()).hexdigest()


def _failed(screening: Screening, reason: str) -> Screening:
    screening.outcome, screening.reason = Outcome.FAILED, reason[:500]
    return screening


def _unread(unread: Sequence[int]) -> str:
    first = Recording.objects.get(pk=unread[0])
    others = f" and {len(unread) - 1:,} more" if len(unread) > 1 else ""
    return (
        f"Of the music behind it “{first.title[:200]}”{others} could not be read, so a copy of "
        "that would not be found."
    )


def _store(sample: Sample, screening: Screening) -> Screening:
    with transaction.atomic():
        if screening.outcome == Outcome.NEAR_COPY:
            # Its audit line takes the turn, which comes before the row lock
            # (portal/database/commit_order.py).
            commit_order.moment()
        # The lock: of two workers with the same sample, the second finds the first one's row.
        Sample.objects.select_for_update(no_key=True).get(pk=sample.pk)
        known = latest_screening(sample)
        if known is not None and _same(known, screening):
            return known
        screening.save()
        if screening.outcome == Outcome.NEAR_COPY:
            audit.record(
                by=None,
                verb="sample.near_copy",
                subject=sample,
                screening=screening.pk,
                recording=screening.recording_id,
                version=screening.version,
                index=screening.index_digest,
                score=round(screening.score or 0.0, 3),
            )
    return screening


def _same(known: Screening, screening: Screening) -> bool:
    facts = ("index_digest", "outcome", "reason", "recording_id")
    return all(getattr(known, fact) == getattr(screening, fact) for fact in facts)


# --- Passes ------------------------------------------------------------------------------------


def waiting() -> SampleQuerySet:
    """Return the samples without a screening by the current method, final ones first."""
    screenings = Screening.objects.filter(sample=OuterRef("pk"), version=prints.VERSION)
    return Sample.objects.filter(~Exists(screenings)).order_by("-final", "pk")


def run_pass(turn: float = PASS_SECONDS) -> int:
    """Screen waiting samples for up to `turn` seconds; return how many. Wakes the task again if
    more wait.

    Indexes come first, in as many passes as they need. A store that does not answer ends the
    pass. Two passes at once do some work twice and store it once.
    """
    until = time.monotonic() + turn
    done = 0
    some = list(waiting().select_related("run__dataset")[:BATCH_SIZE])
    try:
        for sample in some:
            if time.monotonic() >= until or not _screen_in_time(sample, until):
                wake(TASK)
                return done
            done += 1
    except storage.Unreachable as error:
        log.warning("The copy check waits: %s", error)
        return done
    if len(some) == BATCH_SIZE:
        wake(TASK)
    return done


def _screen_in_time(sample: Sample, until: float) -> bool:
    """Screen one sample; False if the time was up before all indexes were made."""
    try:
        for dataset in _music(sample):
            if dataset_index.load_or_make_index(dataset, until=until) is None:
                return False
        screen(sample)
    except (OSError, MemoryError, DatabaseError):
        # The machine, the store or the database failed, not the sample: it is tried again later.
        raise
    except Exception:
        # Stored as failed, so that the next pass goes on to the next sample; the log says why.
        sentence = "The check itself broke down; the portal's log says why."
        _store(sample, _failed(Screening(sample=sample, version=prints.VERSION), sentence))
        raise
    return True


def retry_failed() -> int:
    """Screen again what could not be checked, after files were restored; return how many."""
    dataset_index.forget_problems()
    last = Screening.objects.filter(sample=OuterRef("pk"), version=prints.VERSION).order_by("-pk")
    failed = Sample.objects.annotate(last=last.values("outcome")[:1]).filter(last=Outcome.FAILED)
    count = 0
    for sample in failed.select_related("run__dataset").order_by("pk"):
        screen(sample)
        count += 1
    return count
