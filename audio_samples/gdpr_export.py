"""This app's sections of a rightsholder's access export (rights/rightsholder/gdpr_export.py)."""

from collections.abc import Iterator, Mapping, Sequence

from audio_samples import rightsholder_samples
from audio_samples.audibility import silences
from rights.models import Party
from rights.rightsholder import registries

BATCH_SIZE = 500


def _models(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    runs = list(rightsholder_samples.runs_trained_on(parties))
    for start in range(0, len(runs), BATCH_SIZE):
        for model in rightsholder_samples.trained_models(runs[start : start + BATCH_SIZE], parties):
            yield {
                "model": model.source.title,
                "history": model.history,
                "reference": model.source.reference,
                "use": model.run.use,
                "state": model.source.state,
                "at": model.source.at,
                "examples": model.examples,
                "seconds": model.seconds,
                "seconds_of_all": model.total_seconds,
                "saved_states": model.checkpoints,
                "samples": model.samples,
            }


def _samples(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    rows = rightsholder_samples.samples_of(parties).with_holds().defer("peaks", "measures")
    for sample in rows.order_by("pk").iterator(chunk_size=BATCH_SIZE):
        yield {
            "sample": sample.pk,
            "reference": registries.reference(f"run:{sample.run_id}"),
            "made_at": sample.created_at,
            "seconds": sample.duration,
            "silence": silences.reason_for_rightsholders(sample),
        }


def _flags(parties: Sequence[Party]) -> Iterator[Mapping[str, object]]:
    for flag in rightsholder_samples.flags_of(parties).order_by("pk"):
        yield {
            "sample": flag.sample_id,
            "party": flag.party.name,
            "at": flag.created_at,
            "reason": flag.reason,
            "state": flag.state,
            "answered_at": flag.reviewed_at,
            "answer": flag.note,
        }


registries.register_section("models", _models)
registries.register_section("samples", _samples)
registries.register_section("flags", _flags)
