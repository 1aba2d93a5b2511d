"""What the apps above register for rightsholders to read: names of the ledger's sources, and
further sections of the GDPR export.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.formats import date_format

from rights.models import Party


@dataclass(frozen=True)
class PublicSource:
    """One source in public words: `reference` identifies it, `state` is its status.

    `name` is for everybody. Those whose music it used read more (docs/decisions.md): its `kind`,
    as "A music generation model for research", how far it is (`made`), with how many recordings it
    was made, and whether it is `released`: shown to the world under its name.
    """

    name: str
    reference: str
    state: str = ""
    at: datetime | None = None
    kind: str = ""
    # "trained", "in training"
    made: str = ""
    recordings: int = 0
    # Why it ended before it was done: "stopped, because a permission ended".
    ended: str = ""
    released: bool = False
    # The lab has taken it back from the world since; its public page says so.
    withdrawn: bool = False

    @property
    def title(self) -> str:
        """What the holders of the music read in place of a name that only the lab uses."""
        if self.released or not self.kind or self.at is None:
            return self.name
        return f"{self.kind}, {date_format(self.at, 'j F Y')}"


Namer = Callable[[Sequence[str]], Mapping[str, PublicSource]]
Section = Callable[[Sequence[Party]], Iterator[Mapping[str, object]]]

INTERNAL = "An internal model"

_namers: dict[str, Namer] = {}
_sections: dict[str, Section] = {}


def register_names(prefix: str, namer: Namer) -> None:
    """Register `namer` for sources that begin with the prefix and a colon."""
    _namers[prefix] = namer


def register_section(name: str, section: Section) -> None:
    """Register a section of the GDPR export: rows about these parties, and about nobody else."""
    _sections[name] = section


def names(sources: Iterable[str]) -> dict[str, PublicSource]:
    """Return each source in public words; an unknown source is an internal model."""
    unique = sorted(set(sources))
    public = {source: PublicSource(INTERNAL, reference(source)) for source in unique}
    for prefix, namer in _namers.items():
        matching = [source for source in unique if source.startswith(f"{prefix}:")]
        if matching:
            public.update(namer(matching))
    return public


def sections() -> dict[str, Section]:
    return dict(_sections)


def reference(source: str) -> str:
    """Return a short reference, no secret: the first eight characters of the source's own key."""
    return source.partition(":")[2][:8].upper() or source[:8].upper()
