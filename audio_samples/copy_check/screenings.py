"""The copy check of samples: is a clip a near copy of the music behind it?

`screen` looks, `passed` is what a release asks, `confirm` and `dismiss` are a rights admin's
answers to a near copy, `go_on` does what waits. How it hears is audio_samples/screening/.
"""

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from audio import matching, prints
from audio.decoding import BadAudio
from audio_samples import analysis, samples
from audio_samples.copy_check import dataset_index
from audio_samples.models import Sample, SampleQuerySet
from audio_samples.models.copy_check import DatasetIndex, Screening
from backline.uses import ARTISTS
from experiments.clearance import attribution
from experiments.models import Dataset
from portal import audit, storage
from portal.celery import wake
from portal.database import commit_order
from portal.models import Role, User
from rights.errors import Refused, required
from rights.models import Recording

Outcome = Screening.Outcome
Answer = Screening.Answer
LONGEST = 1000
# A task gives its worker back after this many seconds; the next one goes on.
TURN = 20.0
# Samples that one round looks up.
AT_ONCE = 200
TASK = "audio_samples.screen"

log = logging.getLogger(__name__)


def screen(sample: Sample) -> Screening:
    """Hold the sample against all music that it learned from or heard, and keep the result.

    The same look again adds no row. Makes the indexes that are missing, which takes long for a
    large dataset: `go_on` makes them in rounds. Raises portal.storage.Unreachable.
    """
    indexes = [dataset_index.gather(dataset) for dataset in _music(sample)]
    return _keep(sample, _look(sample, [index for index in indexes if index is not None]))


def passed(sample: Sample) -> bool:
    """Whether the newest look by today's method found no copy, or a rights admin said so."""
    found = latest_screening(sample)
    if found is None:
        return False
    return found.outcome == Outcome.PASSED or found.answer == Answer.DISMISSED


def latest_screening(sample: Sample) -> Screening | None:
    """The look that counts: the last one by today's version of the method."""
    looks = Screening.objects.filter(sample=sample, version=prints.VERSION)
    return looks.select_related("recording", "reviewed_by").order_by("-pk").first()


def near_copies() -> QuerySet[Screening]:
    """The near copies among the looks that count."""
    later = Screening.objects.filter(
        sample=OuterRef("sample"), version=prints.VERSION, pk__gt=OuterRef("pk")
    )
    rows = Screening.objects.filter(~Exists(later), version=prints.VERSION)
    return rows.filter(outcome=Outcome.NEAR_COPY).select_related(
        "sample__run__project", "sample__run__submitted_by", "recording", "reviewed_by"
    )


@dataclass(frozen=True)
class ScreeningDescription:
    """A look as a page tells of it: the sample's newest, None while it waits; whose recording it
    is near to, and whether the person may open that."""

    look: Screening | None
    artists: list[str]
    opens: bool


def describe_screening(sample: Sample, user: User) -> ScreeningDescription:
    found = latest_screening(sample)
    if found is None or found.outcome != Outcome.NEAR_COPY or found.recording is None:
        return ScreeningDescription(found, [], opens=False)
    visible = Recording.objects.visible_to(user).filter(pk=found.recording.pk)
    return ScreeningDescription(found, artists(found.recording), opens=visible.exists())


def artists(recording: Recording) -> list[str]:
    """The main and featured artists by the names that they are credited with."""
    credited_on = recording.credits.filter(role__in=ARTISTS).select_related("party")
    return sorted({credit.party.credit_name for credit in credited_on})


# --- A rights admin's answer -------------------------------------------------------------------


@transaction.atomic
def confirm(screening: Screening, *, by: User, note: str) -> Screening:
    """It is a copy: the sample is withheld for good."""
    answered = _answer(screening, Answer.CONFIRMED, by=by, note=note)
    samples.withhold(
        answered.sample,
        by=by,
        reason="The copy check found a stretch of a recording in it, and a rights admin agreed",
    )
    return answered


@transaction.atomic
def dismiss(screening: Screening, *, by: User, note: str) -> Screening:
    """It is no copy: as far as the copy check goes it may be released."""
    return _answer(screening, Answer.DISMISSED, by=by, note=note)


def _answer(screening: Screening, answer: Answer, *, by: User, note: str) -> Screening:
    note = required(note, field="note", longest=LONGEST)
    if not by.has_role(Role.RIGHTS_ADMIN):
        raise Refused("not_yours", "A rights admin answers near copies.")
    if screening.sample.run.submitted_by_id == by.pk:
        raise Refused("four_eyes", "Somebody else than who queued the run has to answer it.")
    commit_order.moment()
    # The sample's row is the lock: a new look comes before the answer or after it.
    Sample.objects.select_for_update(no_key=True).get(pk=screening.sample_id)
    counts = latest_screening(screening.sample)
    if counts is None or counts.pk != screening.pk:
        raise Refused("state", "The sample was looked at again since: answer the newer look.")
    moved = Screening.objects.filter(pk=screening.pk, outcome=Outcome.NEAR_COPY, answer="").update(
        answer=answer, reviewed_by=by, reviewed_at=timezone.now(), note=note
    )
    screening.refresh_from_db()
    if not moved:
        raise Refused("state", f"It is answered already: {screening.get_answer_display().lower()}.")
    audit.record(
        by=by,
        verb=f"sample.copy_{answer}",
        subject=screening.sample,
        screening=screening.pk,
        recording=screening.recording_id,
        private={"note": note},
    )
    return screening


# --- Looking -----------------------------------------------------------------------------------


def _music(sample: Sample) -> list[Dataset]:
    return attribution.datasets(sample.run, sample.step or None)


def _look(sample: Sample, indexes: Sequence[DatasetIndex]) -> Screening:
    """What is found, not kept yet."""
    digests = [str(index.blob_id) for index in indexes]
    found = Screening(
        sample=sample,
        version=prints.VERSION,
        indexes=digests,
        index_digest=_digest(digests),
        threshold=matching.THRESHOLD,
    )
    if not indexes:
        found.outcome, found.threshold = Outcome.NOTHING, None
        return found
    try:
        with storage.open_blob(sample.audio_id) as file:
            audio, rate, _ = analysis.decode(file)
    except FileNotFoundError:
        return _failed(found, "The clip's file is missing from storage.")
    except BadAudio as error:
        return _failed(found, str(error))
    clip = matching.listen(audio, rate=rate)
    if clip.silent:
        found.outcome = Outcome.SILENT
        return found
    _hold_against(found, clip, indexes)
    unread = [recording for index in indexes for recording in index.unread]
    if unread and found.outcome == Outcome.PASSED:
        return _failed(found, _unread(unread))
    return found


def _hold_against(found: Screening, clip: matching.Clip, indexes: Sequence[DatasetIndex]) -> None:
    try:
        matches = [matching.best(clip, dataset_index.opened(index)) for index in indexes]
    except FileNotFoundError:
        _failed(found, "The index of the music behind it is missing from storage.")
        return
    best = max((match for match in matches if match), key=lambda one: one.score, default=None)
    found.outcome, found.score = Outcome.PASSED, 0.0
    if best is None:
        return
    found.outcome = Outcome.NEAR_COPY if best.near_copy else Outcome.PASSED
    found.score, found.hashes = best.score, best.hashes
    found.recording_id = best.recording
    found.clip_at, found.recording_at, found.length = best.clip_at, best.recording_at, best.length


def _digest(digests: Sequence[str]) -> str:
    if len(digests) < 2:
        return "".join(digests)
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(digests)).encode()).hexdigest()


def _failed(found: Screening, reason: str) -> Screening:
    found.outcome, found.reason = Outcome.FAILED, reason[:500]
    return found


def _unread(unread: Sequence[int]) -> str:
    first = Recording.objects.get(pk=unread[0])
    others = f" and {len(unread) - 1:,} more" if len(unread) > 1 else ""
    return (
        f"Of the music behind it “{first.title[:200]}”{others} could not be read, so a copy of "
        "that would not be found."
    )


def _keep(sample: Sample, found: Screening) -> Screening:
    with transaction.atomic():
        if found.outcome == Outcome.NEAR_COPY:
            # Its line in the log wants the turn, which comes before the row
            # (portal/database/commit_order.py).
            commit_order.moment()
        # The lock: of two workers with the same sample the second finds the row of the first.
        Sample.objects.select_for_update(no_key=True).get(pk=sample.pk)
        known = latest_screening(sample)
        if known is not None and _same(known, found):
            return known
        found.save()
        if found.outcome == Outcome.NEAR_COPY:
            audit.record(
                by=None,
                verb="sample.near_copy",
                subject=sample,
                screening=found.pk,
                recording=found.recording_id,
                version=found.version,
                index=found.index_digest,
                score=round(found.score or 0.0, 3),
            )
    return found


def _same(known: Screening, found: Screening) -> bool:
    facts = ("index_digest", "outcome", "reason", "recording_id")
    return all(getattr(known, fact) == getattr(found, fact) for fact in facts)


# --- Rounds ------------------------------------------------------------------------------------


def waiting() -> SampleQuerySet:
    """Samples that nobody has looked at by today's method, those made after training first."""
    looks = Screening.objects.filter(sample=OuterRef("pk"), version=prints.VERSION)
    return Sample.objects.filter(~Exists(looks)).order_by("-final", "pk")


def go_on(turn: float = TURN) -> int:
    """Screen what waits for up to `turn` seconds; how many were. Nudges itself where more waits.

    Indexes come first, in as many rounds as they need. A store that does not answer ends the
    round. Two at once do some work twice and keep it once.
    """
    until = time.monotonic() + turn
    done = 0
    some = list(waiting().select_related("run__dataset")[:AT_ONCE])
    try:
        for sample in some:
            if time.monotonic() >= until or not _screen_in_time(sample, until):
                wake(TASK)
                return done
            done += 1
    except storage.Unreachable as error:
        log.warning("The copy check waits: %s", error)
        return done
    if len(some) == AT_ONCE:
        wake(TASK)
    return done


def _screen_in_time(sample: Sample, until: float) -> bool:
    """False where the time was up before all indexes were made."""
    try:
        for dataset in _music(sample):
            if dataset_index.gather(dataset, until=until) is None:
                return False
        screen(sample)
    except (OSError, MemoryError, DatabaseError):
        # The machine, the store or the database: no fault of the sample, so later again.
        raise
    except Exception:
        # Not tried for ever: the next round goes on with the next one, and the log has why.
        sentence = "The check itself broke down; the portal's log says why."
        _keep(sample, _failed(Screening(sample=sample, version=prints.VERSION), sentence))
        raise
    return True


def again() -> int:
    """Look again at what could not be checked, after files were put back; how many there were."""
    dataset_index.forget_problems()
    looks = Screening.objects.filter(sample=OuterRef("pk"), version=prints.VERSION).order_by("-pk")
    failed = Sample.objects.annotate(last=looks.values("outcome")[:1]).filter(last=Outcome.FAILED)
    count = 0
    for sample in failed.select_related("run__dataset").order_by("pk"):
        screen(sample)
        count += 1
    return count
