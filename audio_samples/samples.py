"""Receive what runs deliver: each clip is stored unchanged, measured, and given its credits.

A sample is withheld from the moment a permission behind it ends. Nothing has to run for that:
`Sample.objects.audible()` reads the holds themselves.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import IO

from django.db import transaction
from django.utils import timezone

from audio import sound_digest
from audio.decoding import BadAudio
from audio_samples import analysis, credit_statements
from audio_samples.models import Sample
from experiments.models import Run, declared_uses
from portal import audit, storage
from portal.database import commit_order
from portal.models import User

NAME_MAX = 200
PROMPT_MAX = 20_000
INT64 = 2**63


class BadSample(ValueError):
    """A name, prompt, number or reference that cannot be stored; the text says which and why."""


def receive(
    *,
    run: Run,
    name: str,
    file: IO[bytes],
    step: int = 0,
    prompt: str = "",
    seed: int | None = None,
    take: int = 0,
    final: bool = False,
    references: Iterable[int] = (),
) -> Sample:
    """Store one clip of a run; the same clip sent again is the same sample.

    `take` tells clips of one program that are equal in everything else apart.
    Raises BadSample, audio.decoding.BadAudio or portal.storage.TooLarge, and then stores nothing.
    """
    _check_text(name, prompt)
    _check_numbers(step=step, seed=seed, take=take)
    reference_ids = _check_references(run, references)
    sha256 = analysis.digest(file)
    identity = _identity(name=name, step=step, prompt=prompt, seed=seed, take=take, sha256=sha256)
    if existing := Sample.objects.filter(run=run, identity=identity).first():
        return existing
    measured = analysis.analyse(file)
    file.seek(0)
    blob = storage.put(file, media_type=measured.media_type, max_bytes=analysis.MAX_BYTES)
    credit = credit_statements.statement_at(run, step, reference_ids)
    with transaction.atomic():
        sample, created = Sample.objects.get_or_create(
            run=run,
            identity=identity,
            defaults={
                "name": name,
                "step": step,
                "final": final,
                "prompt": prompt,
                "seed": seed,
                "take": take,
                "audio": blob,
                "sound": measured.sound,
                "duration": measured.duration,
                "sample_rate": measured.sample_rate,
                "channels": measured.channels,
                "lufs": measured.lufs,
                "true_peak": measured.true_peak,
                "gain_db": measured.gain_db,
                "peaks": measured.peaks,
                "measures": measured.measures,
                "credit": credit,
                "references": reference_ids,
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
    return sample


def withhold(sample: Sample, *, by: User | None, reason: str) -> bool:
    """Withhold one sample for good; return False if it already was."""
    with transaction.atomic():
        # Before the row is locked, as in everything that writes the audit log
        # (portal/database/commit_order.py).
        commit_order.moment()
        changed = Sample.objects.filter(pk=sample.pk, withheld_at=None).update(
            withheld_at=timezone.now(), withheld_reason=reason[:500]
        )
        if changed:
            audit.record(
                by=by,
                verb="sample.withheld",
                subject=sample,
                private={"reason": reason[:500]},
            )
    return bool(changed)


def store_sound_digests(at_most: int = 20) -> int:
    """Store the sound digest of older clips that have none; return how many were noted."""
    rows = list(
        Sample.objects.filter(sound="")
        .exclude(audio=None)
        .select_related("audio")
        .order_by("pk")[:at_most]
    )
    for row in rows:
        Sample.objects.filter(pk=row.pk).update(sound=_sound_of(row))
    return len(rows)


def _sound_of(sample: Sample) -> str:
    """Return the sound digest; a missing or unreadable file has that of its bytes instead."""
    try:
        with storage.open_blob(sample.file.sha256) as file:
            audio, rate, _ = analysis.decode(file)
    except (BadAudio, FileNotFoundError):
        return sample.file.sha256
    return sound_digest.digest(audio, rate=rate)


def _check_text(name: str, prompt: str) -> None:
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


def _check_references(run: Run, references: Iterable[int]) -> list[int]:
    """Require reference audio of the run's own dataset, for which consent to this use was asked."""
    recordings = sorted(set(references))
    if not recordings:
        return []
    if run.dataset is None or run.use not in declared_uses.REFERENCES:
        raise BadSample("This run has no recordings as reference audio.")
    items = run.dataset.items.filter(included=True, recording__in=recordings)
    included = set(items.values_list("recording", flat=True))
    if unknown := set(recordings) - included:
        raise BadSample(f"Recording {min(unknown)} is not in the dataset of run {run.number}.")
    return recordings


def _identity(
    *, name: str, step: int, prompt: str, seed: int | None, take: int, sha256: str
) -> str:
    """Return what a clip is recognised by within its run, when a program delivers it again.

    With its bytes: a program that is repeated after a crash makes the same clip again, or
    another one, which is stored beside the first.
    """
    return hashlib.sha256(json.dumps([name, step, prompt, seed, take, sha256]).encode()).hexdigest()
