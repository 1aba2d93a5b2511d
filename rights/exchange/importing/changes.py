"""What an import may do, and what a part of it has to write."""

from dataclasses import dataclass, field
from typing import Any, Literal

from rights.exchange.importing.known import (
    CreditKey,
    PartyShadow,
    RecordingShadow,
    ReleaseShadow,
    SheetShadow,
    WorkShadow,
)
from rights.exchange.importing.rows import Row

# What a part adds, as its audit line lists it.
ENTERED = ("parties", "works", "recordings", "releases", "splits")
Verdict = Literal["added", "changed", "unchanged", "refused"]
Subject = RecordingShadow | WorkShadow


@dataclass(frozen=True)
class Options:
    """What an import may do beyond adding. All of it is off by default."""

    source: str = ""
    update_titles: bool = False
    update_tags: bool = False
    extend: bool = False
    propose_splits: bool = False
    confirmed_on_paper: bool = False


@dataclass
class Changes:
    """What has to be written for the rows of a part. writing.py turns shadows into rows."""

    parties: list[PartyShadow] = field(default_factory=list)
    numbers: list[tuple[PartyShadow, str, str]] = field(default_factory=list)
    works: list[WorkShadow] = field(default_factory=list)
    recordings: list[RecordingShadow] = field(default_factory=list)
    releases: list[ReleaseShadow] = field(default_factory=list)
    # Of new recordings; of existing ones (not permitted until the work's holders permit it).
    links: list[tuple[RecordingShadow, WorkShadow]] = field(default_factory=list)
    attached: list[tuple[RecordingShadow, WorkShadow]] = field(default_factory=list)
    credits: list[tuple[Subject, CreditKey, str]] = field(default_factory=list)
    late_credits: list[tuple[RecordingShadow, CreditKey, str]] = field(default_factory=list)
    sheets: list[tuple[Subject, SheetShadow]] = field(default_factory=list)
    proposed: list[tuple[Subject, SheetShadow]] = field(default_factory=list)
    confirmed: list[SheetShadow] = field(default_factory=list)
    updated: dict[Any, set[str]] = field(default_factory=dict)
    tracks: list[tuple[ReleaseShadow, RecordingShadow, int]] = field(default_factory=list)
    keys: list[tuple[str, str, Any]] = field(default_factory=list)
    # Which parts of it a machine made, as the file declares.
    machine: list[tuple[RecordingShadow, str]] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def entered(self) -> dict[str, list[int]]:
        """Return the ids of the rows that were written, as the part's audit line lists them."""
        shadows: dict[str, list[Any]] = {
            "parties": self.parties,
            "works": self.works,
            "recordings": self.recordings,
            "releases": self.releases,
            "splits": [sheet for _, sheet in self.sheets],
        }
        return {name: [shadow.pk for shadow in shadows[name]] for name in ENTERED}

    def update(self, shadow: Any, **values: Any) -> None:
        for name, value in values.items():
            setattr(shadow, name, value)
        if shadow.pk is not None:
            self.updated.setdefault(shadow, set()).update(values)
