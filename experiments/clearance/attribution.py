"""Whom to credit for what a run made: for the music it learned from itself, and for the music that
its initial weights had learned from, up to the checkpoint that it started from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from experiments.models import Dataset, Run, ancestry
from experiments.models.declared_uses import REFERENCES
from rights.models import Decision
from rights.usage import crediting, ledger


@dataclass(frozen=True)
class _Learned:
    """One run of the line of weights, with recording id to (examples, seconds)."""

    run: Run
    exposures: dict[int, tuple[int, float]]


def statement(
    run: Run, step: int | None = None, references: Iterable[int] = (), top: int | None = None
) -> crediting.Statement | None:
    """Return the credit statement of what the run had made at `step`; None without music behind it.

    Without a step the whole run counts. `references` are the recordings that were a clip's
    reference audio; for a program that was given some and names none, all of them are. `top`
    limits the list to that many of the largest shares.
    """
    references = list(references) or _reference_recordings(run)
    line = [_Learned(behind, _exposures(behind, until)) for behind, until in _weights(run, step)]
    reference_exposures: dict[int, tuple[int, float]] = dict.fromkeys(references, (1, 0.0))
    if not line and not reference_exposures:
        return None
    total: dict[int, tuple[int, float]] = {}
    for link in line:
        for pk, (examples, seconds) in link.exposures.items():
            previous = total.get(pk, (0, 0.0))
            total[pk] = previous[0] + examples, previous[1] + seconds
    first = line[0].run if line else run
    return crediting.statement(
        total,
        first.use or run.use,
        first.decision if line else None,
        older=_decisions(line[1:]),
        origin=_origin(run, line),
        references=reference_exposures,
        reference_decision=run.decision if reference_exposures else None,
        top=top,
    )


def ledger_version(run: Run, step: int | None = None) -> str:
    """Return the ledger's version of all this now: while it is the same, so is the statement.

    It consists of some numbers, read from an index.
    """
    return " ".join(
        f"{behind.number}:{ledger.ledger_version([_source(behind)], until)}"
        for behind, until in _weights(run, step)
    )


def datasets(run: Run, step: int | None = None) -> list[Dataset]:
    """Return the datasets that a clip made at `step` may derive from: those of its line of weights,
    and its own for reference audio. Each once, in the order of their numbers."""
    used = {behind.dataset for behind, _ in _weights(run, step) if behind.dataset is not None}
    if run.dataset is not None and run.use in REFERENCES:
        used.add(run.dataset)
    return sorted(used, key=lambda dataset: dataset.pk)


def _weights(run: Run, step: int | None) -> Iterator[tuple[Run, int | None]]:
    """Yield the runs whose training is in it, newest first, and up to which step (None: all)."""
    for behind, until in ancestry.line(run, step):
        if behind.dataset is not None and behind.use and behind.use not in REFERENCES:
            yield behind, until or None


def _reference_recordings(run: Run) -> list[int]:
    """Return the recordings that a run may use as reference audio."""
    if run.dataset is None or run.use not in REFERENCES:
        return []
    items = run.dataset.items.filter(included=True).order_by("recording")
    return list(items.values_list("recording", flat=True))


def _source(run: Run) -> str:
    return f"run:{run.pk}"


def _exposures(run: Run, step: int | None) -> dict[int, tuple[int, float]]:
    """Return the exposures in the ledger; before the first report, the whole dataset equally."""
    used = ledger.exposures(_source(run), step)
    if not used and run.dataset is not None:
        items = run.dataset.items.filter(included=True)
        used = dict.fromkeys(items.values_list("recording", flat=True), (0, 0.0))
    return used


def _decisions(line: Sequence[_Learned]) -> list[Decision]:
    return [link.run.decision for link in line if link.run.decision is not None]


def _origin(run: Run, line: Sequence[_Learned]) -> str:
    """Name the runs of the line, if any of them is not this run."""
    others = [f"run {link.run.number}" for link in line if link.run.pk != run.pk]
    if not others:
        return ""
    if len(others) == len(line):
        return f" of {' and '.join(others)}, whose weights made it"
    return f" of this run and {' and '.join(others)}, from whose weights it started"
