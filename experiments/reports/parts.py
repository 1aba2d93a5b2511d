"""What each fenced block of a text shows to one person: its part, or why it cannot be shown."""

from dataclasses import dataclass
from datetime import datetime

from experiments.reports import blocks, frozen, kinds
from experiments.reports.blocks import BadBlock, Block, NothingThere
from experiments.reports.kinds import Part, Reading, Shown
from portal.inputs.markdown import Fence


@dataclass(frozen=True)
class Placed:
    """A block with what it shows. `refusal` is why it shows nothing, `frozen_at` when it was
    frozen; `freezes` that it will be when it is saved."""

    block: Block
    title: str
    part: Part | None = None
    refusal: BadBlock | None = None
    frozen_at: datetime | None = None
    freezes: bool = False


def place(found: Fence, reading: Reading) -> Placed | None:
    """Return what stands in place of a fenced block; None if it is code."""
    kind = kinds.find(found.word)
    if kind is None:
        return None
    block = blocks.of_fence(found)
    try:
        reading.budget.take_block()
        options = block.options(kind.keys)
        asks = frozen.is_frozen(kind, block)
        if asks and (row := reading.frozen.get(block.key)) is not None:
            kept = Shown(frozen.read(row, reading.user))
            return Placed(block, kind.title, kept, frozen_at=row.at)
        return Placed(block, kind.title, kind.part(options, reading), freezes=asks)
    except BadBlock as refusal:
        return Placed(block, kind.title, refusal=refusal)


@dataclass(frozen=True)
class Problem:
    """Why a block shows nothing. `line` is that of the text; 0 where nothing is wrong with it."""

    sentence: str
    line: int = 0

    @classmethod
    def of(cls, refusal: BadBlock, block: Block) -> "Problem":
        if isinstance(refusal, NothingThere):
            return cls(str(refusal))
        return cls(str(refusal), refusal.line or block.line - 1)
