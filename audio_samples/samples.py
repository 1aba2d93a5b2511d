"""What runs deliver: each clip is kept as it came, measured, and given its credits.

A sample is withheld from the moment a permission behind it ends. Nothing has to run for that:
`Sample.objects.audible()` looks at the holds themselves.
"""

from typing import IO

from django.db import transaction
from django.utils import timezone

from audio_samples import analysis
from audio_samples.models import CreditStatement, Sample
from experiments.models import Run
from portal import audit, storage
from portal.models import User
from rights import credits as rights_credits
from rights import ledger

NAME_MAX = 200
PROMPT_MAX = 20_000
INT64 = 2**63


class BadSample(ValueError):
    """A name or prompt that cannot be kept; the text says which and why."""


class Conflict(ValueError):
    """The run already has another clip under this name and step."""


def receive(
    *,
    run: Run,
    name: str,
    file: IO[bytes],
    step: int = 0,
    prompt: str = "",
    seed: int | None = None,
    final: bool = False,
) -> Sample:
    """Keep one clip of a run; the same clip sent again is the same sample.

    Raises BadSample, Conflict, rights.intake.BadAudio or portal.storage.TooLarge, and then
    keeps nothing.
    """
    _check_words(name, prompt)
    _check_numbers(step=step, seed=seed)
    sha256 = analysis.digest(file)
    if known := _known(run, name, step, sha256):
        return known
    measured = analysis.analyse(file)
    file.seek(0)
    blob = storage.put(file, media_type=measured.media_type, max_bytes=analysis.MAX_BYTES)
    credit = credit_at(run, step)
    with transaction.atomic():
        sample, created = Sample.objects.get_or_create(
            run=run,
            name=name,
            step=step,
            defaults={
                "final": final,
                "prompt": prompt,
                "seed": seed,
                "audio": blob,
                "duration": measured.duration,
                "sample_rate": measured.sample_rate,
                "channels": measured.channels,
                "lufs": measured.lufs,
                "true_peak": measured.true_peak,
                "gain_db": measured.gain_db,
                "peaks": measured.peaks,
                "measures": measured.measures,
                "credit": credit,
            },
        )
        if created:
            audit.record(
                by=None,
                verb="sample.received",
                subject=sample,
                run=str(run.pk),
                step=step,
                sha256=blob.sha256,
                private={"name": name},
            )
    if sample.audio_id != sha256:
        raise _conflict(name, step)
    return sample


def withhold(sample: Sample, *, by: User | None, reason: str) -> bool:
    """Take one sample out of hearing for good; False if it already was."""
    with transaction.atomic():
        moved = Sample.objects.filter(pk=sample.pk, withheld_at=None).update(
            withheld_at=timezone.now(), withheld_reason=reason[:500]
        )
        if moved:
            audit.record(
                by=by,
                verb="sample.withheld",
                subject=sample,
                private={"reason": reason[:500]},
            )
    return bool(moved)


def credit_at(run: Run, step: int) -> CreditStatement | None:
    """The statement of what the run had learned from up to `step`; None where it used no music.

    A clip without a step (0) counts the whole run. Before the first report of use every
    recording of the dataset is credited alike, and the statement says so.
    """
    if run.dataset is None:
        return None
    exposures = ledger.exposures(f"run:{run.pk}", step or None)
    if not exposures:
        included = run.dataset.items.filter(included=True)
        exposures = dict.fromkeys(included.values_list("recording", flat=True), (0, 0.0))
    body = rights_credits.statement(exposures, run.use, run.decision)
    statement, _ = CreditStatement.objects.get_or_create(
        digest=rights_credits.digest(body), defaults={"body": body}
    )
    return statement


def settle_credits(run: Run) -> int:
    """Bring each sample's statement up to the ledger, which may report later than the clip came.

    Returns how many changed. Safe to run at any time; statements themselves never change.
    """
    changed = 0
    for step in run.samples.order_by("step").values_list("step", flat=True).distinct():
        statement = credit_at(run, step)
        if statement is not None:
            stale = run.samples.filter(step=step).exclude(credit=statement)
            changed += stale.update(credit=statement)
    return changed


def _check_words(name: str, prompt: str) -> None:
    if not 0 < len(name) <= NAME_MAX or not name.isprintable() or name != name.strip():
        raise BadSample(f"A sample's name has 1 to {NAME_MAX} printable characters.")
    if len(prompt) > PROMPT_MAX:
        raise BadSample(
            f"The prompt has {len(prompt):,} characters; {PROMPT_MAX:,} is the most a sample keeps."
        )
    if "\x00" in prompt:
        raise BadSample("The prompt has a NUL character in it, which no text has.")


def _check_numbers(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and not -INT64 <= number < INT64:
            raise BadSample(f"The {name} {number} does not fit into 64 bits.")


def _known(run: Run, name: str, step: int, sha256: str) -> Sample | None:
    known = Sample.objects.filter(run=run, name=name, step=step).first()
    if known is not None and known.audio_id != sha256:
        raise _conflict(name, step)
    return known


def _conflict(name: str, step: int) -> Conflict:
    return Conflict(
        f"This run already has another clip called {name!r} at step {step}. "
        "Samples never change: log the new one under another name or step."
    )
