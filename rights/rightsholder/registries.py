"""What lies above this room, as a rightsholder may read it: names of the ledger's sources, and
further parts of the access export. The rooms above register here what they have.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rights.models import Party


@dataclass(frozen=True)
class PublicSource:
    """One source in public words: `reference` finds it again, `state` says how it stands."""

    name: str
    reference: str
    state: str = ""
    at: datetime | None = None


Namer = Callable[[Sequence[str]], Mapping[str, PublicSource]]
Section = Callable[[Sequence[Party]], Iterator[Mapping[str, object]]]

INTERNAL = "An internal model"

_namers: dict[str, Namer] = {}
_sections: dict[str, Section] = {}


def register_names(prefix: str, namer: Namer) -> None:
    """`namer` is asked for sources that begin with the prefix and a colon."""
    _namers[prefix] = namer


def register_section(name: str, section: Section) -> None:
    """A part of the access export: rows about these parties, and about nobody else."""
    _sections[name] = section


def names(sources: Iterable[str]) -> dict[str, PublicSource]:
    """Each source in public words; one that nobody knows is an internal model."""
    asked = sorted(set(sources))
    found = {source: PublicSource(INTERNAL, reference(source)) for source in asked}
    for prefix, namer in _namers.items():
        some = [source for source in asked if source.startswith(f"{prefix}:")]
        if some:
            found.update(namer(some))
    return found


def sections() -> dict[str, Section]:
    return dict(_sections)


def reference(source: str) -> str:
    """Short, and no secret: the first eight characters of the source's own key."""
    return source.partition(":")[2][:8].upper() or source[:8].upper()
