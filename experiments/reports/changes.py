"""How one version of a text differs from another, line by line, in bounded time."""

from itertools import takewhile

from experiments.run_page import edits
from experiments.run_page.edits import AROUND, Line

# Pairs of lines that are compared; beyond that the old text stands before the new one.
MOST_PAIRS = 2_000_000


def lines(before: str, after: str) -> list[Line]:
    """Return what was taken out and put in, with some lines beside it; nothing of equal texts."""
    if before == after:
        return []
    old, new = before.split("\n"), after.split("\n")
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    room = min(len(old), len(new)) - start
    ends = zip(reversed(old), reversed(new), strict=False)
    end = min(room, sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends)))
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if len(middle_old) * len(middle_new) > MOST_PAIRS:
        taken = [Line("-", line) for line in middle_old]
        return [*taken, *(Line("+", line) for line in middle_new)]
    first, last = max(0, start - AROUND), max(0, end - AROUND)
    return edits.lines(
        "\n".join(old[first : len(old) - last]), "\n".join(new[first : len(new) - last])
    )
