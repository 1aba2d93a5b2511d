"""What stands beside media on the same steps and belongs to rooms above: the clips of runs.

A room above registers a source; a panel shows both by one slider. What may not be heard the source
leaves out or says itself.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from experiments.media import reading, shown
from experiments.media.reading import Name
from experiments.models import Run


class Source(Protocol):
    """One kind of thing that runs have on steps, under names of their own."""

    def names(self, runs: Collection[UUID]) -> list[Name]:
        """Return the names under which these runs have any, in order."""

    def steps(self, runs: Collection[UUID], name: str) -> dict[UUID, list[int]]:
        """Return the steps at which runs have some of this name, ascending."""

    def items(self, wanted: Mapping[UUID, int], names: Collection[str]) -> list[dict[str, Any]]:
        """Return what runs have at a step each, in the form of `shown.body`."""


_sources: list[Source] = []


def register(source: Source) -> None:
    _sources.append(source)


def names_of(runs: Sequence[Run]) -> list[Name]:
    """Return all names that these runs have, media first."""
    pks = [run.pk for run in runs]
    found = {one.name: one for one in reading.names_of(runs)}
    for source in _sources:
        for one in source.names(pks):
            found.setdefault(one.name, one)
    return list(found.values())


def steps_of(runs: Sequence[Run], name: str) -> dict[UUID, list[int]]:
    """Return the steps at which runs have anything of this name."""
    pks = [run.pk for run in runs]
    found = reading.steps_of(pks, name)
    for source in _sources:
        for pk, steps in source.steps(pks, name).items():
            found[pk] = sorted({*found.get(pk, []), *steps})
    return found


def items_at(wanted: Mapping[UUID, int], names: Collection[str]) -> list[dict[str, Any]]:
    """Return what runs have at a step each, of media and of all sources."""
    found = [shown.body(row) for row in reading.at(wanted, names)[0]]
    if wanted:
        found += [item for source in _sources for item in source.items(wanted, names)]
    return found
