"""The table behind a chart: every picture can be read without seeing it."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.reports.pieces import Chart, Value
from experiments.templatetags.figures import NOTHING, figure


@dataclass(frozen=True)
class Behind:
    heads: list[str]
    rows: list[list[str]]


def behind(chart: Chart) -> Behind:
    """Return a chart's figures; of a curve its points in short: all of them are a file's."""
    match chart.kind:
        case "curves":
            heads = ["Line", "Points", "First", "Last", "Lowest", "Highest"]
            return Behind(heads, [_line(line.label, line.y) for line in chart.lines])
        case "bars":
            heads = ["Group", "Runs", "Mean", "Low", "High"]
            return Behind(
                heads,
                [
                    [bar.label, str(bar.n), *(_said(v) for v in (bar.mean, bar.low, bar.high))]
                    for bar in chart.bars
                ],
            )
        case "importance":
            shares = [[s.label, f"{s.share * 100:.0f} %", _said(s.trend)] for s in chart.shares]
            return Behind(["Setting", "Share", "Rank correlation"], shares)
    rows = [[dot.label, *(_said(value) for value in dot.values)] for dot in chart.dots]
    return Behind(["Run", *chart.fields], rows)


def _line(label: str, ys: Sequence[float | None]) -> list[str]:
    there = [y for y in ys if y is not None]
    if not there:
        return [label, "0", *[NOTHING] * 4]
    facts = (there[0], there[-1], min(there), max(there))
    return [label, f"{len(there):,}", *(figure(fact) for fact in facts)]


def _said(value: Value) -> str:
    return value if isinstance(value, str) else figure(value)
