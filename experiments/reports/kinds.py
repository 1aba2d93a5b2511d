"""The kinds of blocks: what each is called, which keys it has, and what it shows.

Apps above this one register theirs (audio_samples/report_blocks.py, listening/report_blocks.py):
what may be heard, and what listeners said, is theirs to know.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from django.utils.safestring import SafeString

from experiments.models import FrozenBlock, Project, Report
from experiments.reports.blocks import MOST_BLOCKS, BadBlock, Options
from experiments.reports.pieces import Piece
from portal.models import User

# Of one page: reports that include others may include them many times over.
MOST_INCLUDED = 20
# After so long the rest of a page says that it took too long.
SECONDS = 25.0


@dataclass
class Budget:
    """What is left of the blocks, the included reports and the time of one page."""

    blocks: int = MOST_BLOCKS
    included: int = MOST_INCLUDED
    until: float = field(default_factory=lambda: time.monotonic() + SECONDS)

    @classmethod
    def for_seconds(cls, seconds: float) -> "Budget":
        return cls(until=time.monotonic() + seconds)

    def take_block(self) -> None:
        if time.monotonic() > self.until:
            raise BadBlock("The blocks before this one took too long; this one is left out.")
        self.blocks -= 1
        if self.blocks < 0:
            raise BadBlock(f"A page shows at most {MOST_BLOCKS} blocks; this one is left out.")

    def take_report(self) -> None:
        self.included -= 1
        if self.included < 0:
            raise BadBlock(
                f"A page includes at most {MOST_INCLUDED} reports; this one is left out."
            )


@dataclass(frozen=True)
class Reading:
    """A person reads a text of a project. `frozen` has what was stored with the version by the key
    of its block, `trail` the reports that are being read, the outermost first; `drawn` says that
    charts are drawn here and not by a script, `base` that it becomes a file, which links to the
    portal at that address."""

    user: User
    project: Project
    report: Report | None = None
    frozen: Mapping[str, FrozenBlock] = field(default_factory=dict)
    trail: tuple[int, ...] = ()
    budget: Budget = field(default_factory=Budget)
    drawn: bool = False
    base: str = ""

    def within(self, report: Report, frozen: Mapping[str, FrozenBlock]) -> "Reading":
        """Return the same person's reading of a report that this one includes."""
        return replace(
            self, project=report.project, report=report, frozen=frozen,
            trail=(*self.trail, report.pk),
        )  # fmt: skip


class Part(ABC):
    """What a block shows to one person."""

    @abstractmethod
    def pieces(self) -> list[Piece]:
        """Return it as figures and words, for a file, for a page without a script, to be frozen.
        Raises BadBlock."""

    def page(self) -> SafeString | None:
        """Return it as a page has it, where that is more than its pieces: a player, for example."""
        return None


@dataclass
class Shown(Part):
    """A block whose pieces are read already."""

    read: list[Piece]

    def pieces(self) -> list[Piece]:
        return self.read


class Kind(ABC):
    """One kind of block. `keys` has what each of its keys is for; `example` is a whole block."""

    name: ClassVar[str]
    title: ClassVar[str]
    keys: ClassVar[Mapping[str, str]]
    example: ClassVar[str]
    # Whether its figures can be stored with the version. Sound never is.
    freezes: ClassVar[bool] = False

    @abstractmethod
    def part(self, options: Options, reading: Reading) -> Part:
        """Return what the block shows to this person now. Raises BadBlock."""


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    _kinds[kind.name] = kind


def find(name: str) -> Kind | None:
    return _kinds.get(name)


def names() -> list[str]:
    return list(_kinds)


def every() -> list[Kind]:
    """Return all kinds, in the order in which they are offered."""
    order = ("chart", "runs", "samples", "listening", "report")
    return sorted(_kinds.values(), key=lambda kind: (*order, kind.name).index(kind.name))
