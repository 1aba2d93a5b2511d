"""Whom a run owes what it made: what it learned from itself, and what its weights had learned from
before, up to the checkpoint that it started from."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from experiments.models import Dataset, Run, ancestry
from experiments.models.declared_uses import REFERENCES
from rights.models import Decision
from rights.usage import crediting, ledger


@dataclass(frozen=True)
class _Learned:
    """One run of the line of weights: recording id to (examples, seconds)."""

    run: Run
    exposures: dict[int, tuple[int, float]]


def statement(
    run: Run, step: int | None = None, references: Iterable[int] = (), top: int | None = None
) -> crediting.Statement | None:
    """The credit statement of what the run had made at `step`; None where no music is behind it.

    No step counts the whole run. `references` are the recordings that were a clip's reference
    audio; of a program that was given some and names none, all of them are. `top` lists only so
    many of the greatest shares.
    """
    references = list(references) or _reference_recordings(run)
    line = [_Learned(behind, _exposures(behind, until)) for behind, until in _weights(run, step)]
    heard: dict[int, tuple[int, float]] = dict.fromkeys(references, (1, 0.0))
    if not line and not heard:
        return None
    total: dict[int, tuple[int, float]] = {}
    for link in line:
        for pk, (examples, seconds) in link.exposures.items():
            before = total.get(pk, (0, 0.0))
            total[pk] = before[0] + examples, before[1] + seconds
    first = line[0].run if line else run
    return crediting.statement(
        total,
        first.use or run.use,
        first.decision if line else None,
        older=_decisions(line[1:]),
        origin=_origin(run, line),
        references=heard,
        reference_decision=run.decision if heard else None,
        top=top,
    )


def ledger_version(run: Run, step: int | None = None) -> str:
    """What the ledger holds of all this at the moment: while it is the same, so is the statement.

    Some numbers, read from an index.
    """
    return " ".join(
        f"{one.number}:{ledger.ledger_version([_source(one)], until)}"
        for one, until in _weights(run, step)
    )


def datasets(run: Run, step: int | None = None) -> list[Dataset]:
    """All that a clip made at `step` may have learned from or heard: the datasets of its line of
    weights, and its own for reference audio. Each once, in the order of their numbers."""
    found = {behind.dataset for behind, _ in _weights(run, step) if behind.dataset is not None}
    if run.dataset is not None and run.use in REFERENCES:
        found.add(run.dataset)
    return sorted(found, key=lambda one: one.pk)


def _weights(run: Run, step: int | None) -> Iterator[tuple[Run, int | None]]:
    """The runs whose learning is in it, newest first, and up to which step (None: all)."""
    for behind, until in ancestry.line(run, step):
        if behind.dataset is not None and behind.use and behind.use not in REFERENCES:
            yield behind, until or None


def _reference_recordings(run: Run) -> list[int]:
    """The recordings that a run may hear as reference audio."""
    if run.dataset is None or run.use not in REFERENCES:
        return []
    items = run.dataset.items.filter(included=True).order_by("recording")
    return list(items.values_list("recording", flat=True))


def _source(run: Run) -> str:
    return f"run:{run.pk}"


def _exposures(run: Run, step: int | None) -> dict[int, tuple[int, float]]:
    """By the ledger; before the first report every recording of the dataset, alike."""
    used = ledger.exposures(_source(run), step)
    if not used and run.dataset is not None:
        items = run.dataset.items.filter(included=True)
        used = dict.fromkeys(items.values_list("recording", flat=True), (0, 0.0))
    return used


def _decisions(line: Sequence[_Learned]) -> list[Decision]:
    return [link.run.decision for link in line if link.run.decision is not None]


def _origin(run: Run, line: Sequence[_Learned]) -> str:
    """Which runs, where they are others than this one."""
    others = [f"run {link.run.number}" for link in line if link.run.pk != run.pk]
    if not others:
        return ""
    if len(others) == len(line):
        return f" of {' and '.join(others)}, whose weights made it"
    return f" of this run and {' and '.join(others)}, from whose weights it started"
