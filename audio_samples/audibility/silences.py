"""Why a sample is silent for everybody, in words for the lab, for rightsholders and for reviewers.

Samples are loaded `with_holds`. Where there are several reasons a page shows the first, which is
the one that lasts longest; a reviewer sees all of them.
"""

from collections.abc import Iterable, Iterator
from enum import Enum

from audio_samples.models import Sample, SampleFlag


class Silence(Enum):
    DELETED = "the lab deleted the run that made it, and the sound with it"
    TAKEN_BACK = "it was recalled, or the lab took it back"
    PERMISSION_ENDED = "a permission behind it ended"
    FLAG_UPHELD = "a rightsholder objected to it, and a rights admin agreed"
    FLAG_OPEN = "a rightsholder objected to it; a rights admin looks at it"
    SAME_SOUND = "the same sound was delivered under another name too, and is withheld there"


def silences(sample: Sample) -> Iterator[Silence]:
    """Yield everything that keeps the sample silent, in the order in which pages show it."""
    if sample.audio_id is None:
        yield Silence.DELETED
    if sample.withheld_at is not None:
        yield Silence.TAKEN_BACK
    if sample.hold_reason is not None:  # type: ignore[attr-defined]
        yield Silence.PERMISSION_ENDED
    match sample.flag_state:  # type: ignore[attr-defined]
        case SampleFlag.State.UPHELD:
            yield Silence.FLAG_UPHELD
        case SampleFlag.State.OPEN:
            yield Silence.FLAG_OPEN
    if sample.is_copy:  # type: ignore[attr-defined]
        yield Silence.SAME_SOUND


def reason_withheld(sample: Sample) -> str:
    """Return why it may not be heard, as a sentence for the lab; empty if it may."""
    first = next(silences(sample), None)
    if first in (Silence.TAKEN_BACK, Silence.PERMISSION_ENDED):
        # As the person who took it back put it, else as the one who ended the permission did.
        hold: str | None = sample.hold_reason  # type: ignore[attr-defined]
        return _sentence(sample.withheld_reason or hold or Silence.PERMISSION_ENDED.value)
    return _sentence(first.value) if first else ""


def by_reason(samples: Iterable[Sample]) -> list[tuple[str, list[Sample]]]:
    """Group withheld samples by their sentence for the lab, the most frequent one first."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(reason_withheld(sample), []).append(sample)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def current_reason(sample: int) -> str:
    """Return `reason_withheld` of the sample with this number, looked up now."""
    return reason_withheld(Sample.objects.with_holds().get(pk=sample))


def reason_for_rightsholders(sample: Sample) -> str:
    """Return the reason without anybody's own words: those of other holders stay private."""
    first = next(silences(sample), None)
    return _sentence(first.value) if first else ""


def _sentence(reason: str) -> str:
    return f"Withheld: {reason.rstrip('.')}."


def other_silences(sample: Sample, *, except_flag: SampleFlag | None = None) -> list[str]:
    """Return what keeps the sample silent whatever the answer, as ends of sentences. `except_flag`
    is the flag under review."""
    row = Sample.objects.filter(pk=sample.pk).with_holds().get()
    reasons = []
    for silence in silences(row):
        match silence:
            case Silence.TAKEN_BACK:
                reasons.append(f"it is withheld for good: {row.withheld_reason}".rstrip(": "))
            case Silence.PERMISSION_ENDED:
                hold: str = row.hold_reason  # type: ignore[attr-defined]
                reasons.append(f"{silence.value}: {hold or 'no reason was given'}")
            case Silence.FLAG_OPEN | Silence.FLAG_UPHELD:
                reasons += _other_flags(row, except_flag)
            case Silence.SAME_SOUND | Silence.DELETED:
                reasons.append(silence.value)
    return [reason.rstrip(". ") for reason in reasons]


def _other_flags(sample: Sample, but: SampleFlag | None) -> Iterator[str]:
    flags = SampleFlag.objects.silencing().filter(sample=sample).select_related("party")
    for flag in flags.exclude(pk=but.pk if but else 0).order_by("pk"):
        upheld = ", and it was upheld" if flag.state == SampleFlag.State.UPHELD else ""
        yield f"{flag.party} objected too{upheld}"
