"""Silence again, after a restore, the samples that were silenced before (portal/endings)."""

from collections.abc import Hashable

from audio_samples import releases, samples
from audio_samples.copy_check import screenings
from audio_samples.models import ClipRelease, Sample, SampleFlag
from audio_samples.reviews import flags
from portal.endings import Answer, Ending, JournalEntry, declare
from portal.models import User
from rights.journal_replay import about, already, by_hand, done, find, reason
from rights.models import Party

State = SampleFlag.State


@about(Sample)
def _withhold(sample: Sample, entry: JournalEntry, by: User) -> Answer:
    if not samples.withhold(sample, by=by, reason=reason(entry)):
        return already(f"Sample {sample.pk} is withheld.")
    return done(f"Withheld sample {sample.pk}.")


@about(Sample)
def _flag(sample: Sample, entry: JournalEntry, by: User) -> Answer:
    party = find(Party, entry.body["party"], entry)
    if party is None:
        return already(f"The party {entry.body['party']} came after the back-up and is gone.")
    if SampleFlag.objects.filter(sample=sample, party=party).exists():
        return already(f"{party} has flagged sample {sample.pk}.")
    flags.flag(by=by, party=party, sample=sample, reason=reason(entry))
    return done(f"{party} objects to sample {sample.pk}: it is silent.")


@about(Sample)
def _flag_answered(sample: Sample, entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    """Ask for the answer again, whichever it was: an open flag keeps the sample silent."""
    open_flags = SampleFlag.objects.filter(
        sample=sample, party=entry.body["party"], state=State.OPEN
    )
    if not open_flags.exists():
        return already(f"No flag on sample {sample.pk} waits for an answer.")
    return by_hand(f"The flag on sample {sample.pk} was answered since: answer it again.")


@about(Sample)
def _near_copy(sample: Sample, entry: JournalEntry, by: User) -> Answer:  # noqa: ARG001
    screening = screenings.latest_screening(sample)
    if screening is None or screening.answer:
        return already(f"No near copy in sample {sample.pk} waits for an answer.")
    return by_hand(f"The copy check of sample {sample.pk} was answered since: answer it again.")


@about(ClipRelease, born="asked_at")
def _recall(release: ClipRelease, entry: JournalEntry, by: User) -> Answer:
    if release.recalled_at is not None:
        return already(f"The clip “{release.title}” was taken back.")
    releases.recall(by=by, release=release, reason=reason(entry))
    return done(f"Took the clip “{release.title}” back.")


def _by_party(entry: JournalEntry) -> Hashable:
    return entry.subject_type, entry.subject_id, entry.body.get("party")


declare(
    Ending("sample.withheld", _withhold),
    Ending("sample.flagged", _flag, about=_by_party),
    Ending("sample.flag_upheld", _flag_answered, about=_by_party),
    Ending(
        "sample.flag_dismissed", _flag_answered, about=_by_party, takes_back=("sample.flagged",)
    ),
    Ending("sample.copy_confirmed", _near_copy),
    Ending("clip.recalled", _recall),
)
