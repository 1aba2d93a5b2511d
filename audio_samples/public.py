"""This room's parts of a rightsholder's access export (rights/disclosure.py)."""

from collections.abc import Iterator, Mapping, Sequence

from audio_samples import heard
from rights import sources
from rights.models import Party

AT_ONCE = 500


def _models(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    runs = list(heard.runs_of(parties))
    for start in range(0, len(runs), AT_ONCE):
        for one in heard.came(runs[start : start + AT_ONCE], parties):
            yield {
                "model": one.told.name,
                "reference": one.told.reference,
                "use": one.run.use,
                "state": one.told.state,
                "at": one.told.at,
                "examples": one.examples,
                "seconds": one.seconds,
                "seconds_of_all": one.whole,
                "saved_states": one.checkpoints,
                "samples": one.samples,
            }


def _samples(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    rows = heard.samples_of(parties).with_holds().defer("peaks", "measures")
    for sample in rows.order_by("pk").iterator(chunk_size=AT_ONCE):
        yield {
            "sample": sample.pk,
            "reference": sources.reference(f"run:{sample.run_id}"),
            "made_at": sample.created_at,
            "seconds": sample.duration,
            "silence": heard.silence(sample),
        }


def _flags(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    for flag in heard.flags_of(parties).order_by("pk"):
        yield {
            "sample": flag.sample_id,
            "party": flag.party.name,
            "at": flag.created_at,
            "reason": flag.reason,
            "state": flag.state,
            "answered_at": flag.reviewed_at,
            "answer": flag.note,
        }


sources.register_section("models", _models)
sources.register_section("samples", _samples)
sources.register_section("flags", _flags)
